package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// logger takes what NATS logs to slog. What NATS calls a notice is detail here.
type logger struct {
	log   *slog.Logger
	first atomic.Pointer[string]
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
	l.log.Warn(message, "says", fmt.Sprintf(format, v...))
}

// Fatalf is part of the logger of NATS.
func (l *logger) Fatalf(format string, v ...any) {
	said := fmt.Sprintf(format, v...)
	l.first.CompareAndSwap(nil, &said)
	l.log.Error(message, "says", said)
}

// Errorf is part of the logger of NATS.
func (l *logger) Errorf(format string, v ...any) {
	l.log.Error(message, "says", fmt.Sprintf(format, v...))
}

// Debugf is part of the logger of NATS.
func (l *logger) Debugf(format string, v ...any) {
	l.log.Debug(message, "says", fmt.Sprintf(format, v...))
}

// Tracef is part of the logger of NATS. Nothing asks for it: a trace would hold
// what agents say.
func (l *logger) Tracef(string, ...any) {}
