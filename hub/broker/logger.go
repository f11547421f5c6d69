package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// logger takes what NATS logs to slog. What NATS calls a notice is detail here.
type logger struct {
	log   *slog.Logger
	first atomic.Pointer[string]
	lines rate.Sometimes // of warnings and errors: NATS writes one for each thing that it refuses
}

func newLogger(log *slog.Logger) *logger {
	return &logger{log: log, lines: rate.Sometimes{First: 50, Interval: time.Second}}
}

// limited logs, and keeps a client that is refused again and again from filling a disk.
func (l *logger) limited(level slog.Level, said string) {
	told := false
	l.lines.Do(func() {
		told = true
		l.log.Log(context.Background(), level, message, "says", said)
	})
	if !told {
		l.log.Debug(message, "says", said)
	}
}

// fatal returns the first of the errors after which NATS would have ended the
// process that it runs in.
func (l *logger) fatal() error {
	if message := l.first.Load(); message != nil {
		return errors.New(*message)
	}
	return nil
}

const message = "nats server"

// Noticef is part of the logger of NATS.
func (l *logger) Noticef(format string, v ...any) {
	l.log.Debug(message, "says", fmt.Sprintf(format, v...))
}

// Warnf is part of the logger of NATS.
func (l *logger) Warnf(format string, v ...any) {
	l.limited(slog.LevelWarn, fmt.Sprintf(format, v...))
}

// Fatalf is part of the logger of NATS.
func (l *logger) Fatalf(format string, v ...any) {
	said := fmt.Sprintf(format, v...)
	l.first.CompareAndSwap(nil, &said)
	l.log.Error(message, "says", said)
}

// Errorf is part of the logger of NATS.
func (l *logger) Errorf(format string, v ...any) {
	l.limited(slog.LevelError, fmt.Sprintf(format, v...))
}

// Debugf is part of the logger of NATS.
func (l *logger) Debugf(format string, v ...any) {
	l.log.Debug(message, "says", fmt.Sprintf(format, v...))
}

// Tracef is part of the logger of NATS. Nothing asks for it: a trace would hold
// what agents say.
func (l *logger) Tracef(string, ...any) {}
