package broker

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/navarch/navarch/hub/enrol"
)

// BenchmarkSync measures what it would cost to wait for the disk at every
// message: the choice of syncInterval rests on it.
func BenchmarkSync(b *testing.B) {
	identity, err := enrol.Open(b.TempDir())
	check(b, err)
	security, err := identity.ServerTLS(nil)
	check(b, err)
	operator, err := identity.OperatorJWT()
	check(b, err)
	accounts, err := identity.AccountJWTs()
	check(b, err)
	credentials, err := identity.HubCredentials()
	check(b, err)
	for name, change := range map[string]func(*server.Options){
		"as it is":        func(*server.Options) {},
		"every 2 minutes": func(o *server.Options) { o.SyncInterval = 2 * time.Minute },
		"always":          func(o *server.Options) { o.SyncAlways = true },
	} {
		options, err := Config{
			Dir: b.TempDir(), Listen: "127.0.0.1:0", TLS: security, Operator: operator, Accounts: accounts, Log: slog.New(slog.DiscardHandler),
		}.options()
		check(b, err)
		change(options)
		s, err := server.NewServer(options)
		check(b, err)
		s.Start()
		b.Cleanup(s.Shutdown)
		nc, err := nats.Connect("", nats.InProcessServer(s), nats.UserCredentialBytes(credentials))
		check(b, err)
		b.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		check(b, err)
		_, err = js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}, MaxMsgsPerSubject: 1})
		check(b, err)
		for _, size := range []int{500, 4 << 10, 512 << 10} {
			b.Run(fmt.Sprintf("%s/one message of %d", name, size), func(b *testing.B) {
				for b.Loop() {
					_, err := js.Publish(b.Context(), "s.1", make([]byte, size))
					check(b, err)
				}
			})
		}
		b.Run(name+"/200 messages of 4096", func(b *testing.B) {
			for b.Loop() {
				for i := range 200 {
					_, err := js.PublishAsync(fmt.Sprintf("s.%d", i), make([]byte, 4<<10))
					check(b, err)
				}
				<-js.PublishAsyncComplete()
			}
		})
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
