package broker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/navarch/navarch/wire"
)

// advisories is what went wrong in NATS before, by its name, as something that an attacker
// does to a running server of ours. After each the server still has to work.
var advisories = map[string]func(t *testing.T, y *yard){
	"CVE-2020-26892 expiry is honoured":            expiry,
	"CVE-2021-3127 an import gives no way in":      foreignAccount,
	"CVE-2022-24450 no account is assumed":         assumedAccount,
	"CVE-2022-26652 restore is out of reach":       streamAPI("$JS.API.STREAM.RESTORE." + wire.StreamReports),
	"CVE-2022-28357 $SYS is out of reach":          systemRequests,
	"CVE-2022-29946 no deny rule to get around":    noDenyRules,
	"GHSA-wh7g no deny rule to get around":         noDenyRules,
	"GHSA-jx8g no deny rule to get around":         noDenyRules,
	"GHSA-7qmq no deny rule to get around":         noDenyRules,
	"CVE-2023-46129 no auth callout":               noCallout,
	"CVE-2023-47090 nobody without a name":         anonymous,
	"CVE-2025-30215 JetStream of another account":  otherAccountsStreams,
	"CVE-2026-27571 bombs before it is known who":  webSocketBombs,
	"CVE-2026-33219 frames before it is known who": webSocketBombs,
	"CVE-2026-27889 frames that are none":          webSocketFrames,
	"CVE-2026-29785 leaf nodes before it is known": leafNodes,
	"CVE-2026-33218 leaf nodes before it is known": leafNodes,
	"GHSA-3g5q leaf nodes before it is known":      leafNodes,
	"CVE-2026-33222 restore is out of reach":       streamAPI("$JS.API.STREAM.SNAPSHOT." + wire.StreamDesired),
	"CVE-2026-33223 who asks is not in a header":   identityHeaders,
	"CVE-2026-33246 who asks is not in a header":   identityHeaders,
	"CVE-2026-33247 no arguments on the monitor":   monitorArguments,
	"CVE-2026-33248 certificates admit nobody":     certificatesAdmitNobody,
	"CVE-2026-33249 traces go nowhere":             traces,
	"GHSA-p3j5 traces go nowhere":                  traces,
	"GHSA-38x3 no user for those without":          anonymous,
	"GHSA-hmmp no user for those without":          anonymous,
	"GHSA-g33f JWTs that are none":                 brokenJWTs,
	"GHSA-p957 no MQTT over WebSocket":             noMQTT,
	"GHSA-q59r numbers at the monitor":             monitorNumbers,
	"GHSA-qrcv no MQTT":                            noMQTT,
	"CVE-2026-33215 no MQTT":                       noMQTT,
	"CVE-2026-33216 no MQTT":                       noMQTT,
	"CVE-2026-33217 no MQTT":                       noMQTT,
}

func TestAdvisories(t *testing.T) {
	y := newYard(t)
	for name, attack := range advisories {
		t.Run(name, func(t *testing.T) {
			attack(t, y)
			y.works(t)
		})
	}
}

// expiry: what has expired ends a connection, and begins none.
func expiry(t *testing.T, y *yard) {
	key, token := y.agentKey(t, "eu-1", 2*time.Second)
	over := time.Now().Add(3 * time.Second) // times in JWTs are whole seconds
	k := y.dial(t)
	k.connect(key, token, nil)
	if said := k.hear("PONG"); !strings.Contains(said, "PONG") {
		t.Fatalf("not connected: %q", said)
	}
	if said := k.hear(""); !strings.Contains(said, "User Authentication Expired") {
		t.Errorf("a connection whose credential expires hears %q", said)
	}
	wait(t, func() bool { return time.Now().After(over) })
	again := y.dial(t)
	again.connect(key, token, nil)
	refused(t, again)
}

func refused(t *testing.T, k *talk) {
	t.Helper()
	if said := k.hear(""); strings.Contains(said, "PONG") || !strings.Contains(said, "Authorization Violation") {
		t.Errorf("it hears %q", said)
	}
}

// foreignAccount: neither an account of one's own that imports what the hub's exports, nor
// a user that such an account signs for one of ours, gets in.
func foreignAccount(t *testing.T, y *yard) {
	for _, issuedFor := range []string{"", "navarch-agents", "navarch-fleet", "navarch-system"} {
		account, err := nkeys.CreateAccount()
		if err != nil {
			t.Fatal(err)
		}
		key, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		public, err := key.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		claims := jwt.NewUserClaims(public)
		claims.Sub.Allow.Add(">")
		claims.Pub.Allow.Add(">")
		if issuedFor != "" {
			claims.IssuerAccount = y.account(t, issuedFor)
		}
		token, err := claims.Encode(account)
		if err != nil {
			t.Fatal(err)
		}
		k := y.dial(t)
		k.connect(key, token, nil)
		refused(t, k)
	}
}

// assumedAccount: who says which account it would like to be in stays in its own, or is
// refused.
func assumedAccount(t *testing.T, y *yard) {
	for _, account := range []string{y.account(t, "navarch-fleet"), y.account(t, "navarch-system"), "$SYS", "$G", "new"} {
		key, token := y.agentKey(t, "eu-1", time.Hour)
		k := y.dial(t)
		k.connect(key, token, map[string]any{"account": account, "new_account": true, "user": "sys", "pass": "sys", "auth_token": account})
		k.say("SUB > 1\r\nSUB %s 2\r\nSUB $SYS.> 3\r\nPUB %s 2\r\n{}\r\nPING\r\n", wire.AllReports, wire.DesiredSubject("us-1"))
		said := k.hear("")
		if n := strings.Count(said, "Permissions Violation"); n != 4 && strings.Contains(said, "PONG") {
			t.Errorf("in account %q it hears %q", account, said)
		}
		if strings.Contains(said, "\nMSG ") {
			t.Errorf("in account %q it is told %q", account, said)
		}
	}
}

// streamAPI: a subject of JetStream's own is refused to agents.
func streamAPI(subjects ...string) func(t *testing.T, y *yard) {
	return func(t *testing.T, y *yard) {
		for _, subject := range subjects {
			forbidden(t, y, subject, `{"config":{"name":"../../etc"},"deliver_subject":"x"}`)
		}
	}
}

// forbidden: an agent may not publish there.
func forbidden(t *testing.T, y *yard, subject, body string) {
	t.Helper()
	key, token := y.agentKey(t, "eu-1", time.Hour)
	k := y.dial(t)
	k.connect(key, token, nil)
	k.hear("PONG")
	k.say("PUB %s %s.x %d\r\n%s\r\nPING\r\n", subject, wire.InboxPrefix("eu-1"), len(body), body)
	if said := k.hear("PONG"); !strings.Contains(said, "Permissions Violation for Publish to") {
		t.Errorf("after %s it hears %q", subject, said)
	}
}

// systemRequests: neither an agent nor the hub reaches what the server's own account
// offers, and no name in a request becomes a path.
func systemRequests(t *testing.T, y *yard) {
	before := files(t, filepath.Dir(y.config.Dir))
	subjects := []string{
		"$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.VARZ", "$SYS.REQ.SERVER." + y.Server().ID() + ".VARZ", "$SYS.REQ.SERVER." + y.Server().ID() + ".RELOAD",
		"$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.CLAIMS.LIST", "$SYS.REQ.CLAIMS.DELETE", "$SYS.REQ.CLAIMS.PACK",
		"$SYS.REQ.ACCOUNT.../../x.CLAIMS.LOOKUP", "$SYS.REQ.ACCOUNT." + y.account(t, "navarch-agents") + ".CLAIMS.UPDATE",
		"$SYS.REQ.ACCOUNT." + y.account(t, "navarch-agents") + ".CONNZ",
	}
	hub := y.hub(t)
	for _, subject := range subjects {
		if strings.Contains(subject, "..") {
			continue // no client sends that
		}
		forbidden(t, y, subject, "{}")
		if answer, err := hub.Request(subject, []byte(y.config.Accounts[y.account(t, "navarch-agents")]), 300*time.Millisecond); err == nil {
			t.Errorf("the hub asks %s and hears %q", subject, answer.Data)
		}
	}
	key, token := y.agentKey(t, "eu-1", time.Hour)
	k := y.dial(t)
	k.connect(key, token, nil)
	k.say("PUB $SYS.REQ.ACCOUNT.../../x.CLAIMS.UPDATE 2\r\n{}\r\nPING\r\n")
	k.hear("PONG") // of the connection
	if said := k.hear("PONG"); !strings.Contains(said, "-ERR") {
		t.Errorf("it hears %q", said)
	}
	if after := files(t, filepath.Dir(y.config.Dir)); after != before {
		t.Errorf("files were made:\n%s\nafter\n%s", after, before)
	}
	for name := range y.config.Accounts { // and nobody is a user of that account
		claims, err := jwt.DecodeAccountClaims(y.config.Accounts[name])
		if err != nil {
			t.Fatal(err)
		}
		if len(claims.SigningKeys) > 0 {
			t.Errorf("account %q has other keys that sign for it", claims.Name)
		}
	}
}

// files lists folders, but for those of streams, in which files come and go.
func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, entry := range entries {
		fmt.Fprintln(&b, entry.Name())
	}
	return b.String()
}

// noDenyRules: nothing that the hub signs denies anything, so that there is no rule to be
// forgotten for queues and for those who come by other ways; and queues are refused as
// anything is that nobody has allowed.
func noDenyRules(t *testing.T, y *yard) {
	hub, err := y.identity.HubCredentials()
	if err != nil {
		t.Fatal(err)
	}
	agent, err := y.identity.AgentCredentials("eu-1")
	if err != nil {
		t.Fatal(err)
	}
	door, err := y.identity.DoorCredentials("eu-1")
	if err != nil {
		t.Fatal(err)
	}
	_, renewed := y.agentKey(t, "eu-1", time.Hour)
	tokens := []string{renewed}
	for _, file := range [][]byte{hub, agent, door} {
		token, err := nkeys.ParseDecoratedJWT(file)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	for _, token := range tokens {
		claims, err := jwt.DecodeUserClaims(token)
		if err != nil {
			t.Fatal(err)
		}
		if len(claims.Pub.Deny)+len(claims.Sub.Deny) > 0 || claims.Resp != nil {
			t.Errorf("user %q has rules %+v", claims.Name, claims.Permissions)
		}
	}
	for _, token := range y.config.Accounts {
		claims, err := jwt.DecodeAccountClaims(token)
		if err != nil {
			t.Fatal(err)
		}
		if len(claims.DefaultPermissions.Pub.Deny)+len(claims.DefaultPermissions.Sub.Deny) > 0 {
			t.Errorf("account %q denies %+v", claims.Name, claims.DefaultPermissions)
		}
	}
	key, token := y.agentKey(t, "eu-1", time.Hour)
	k := y.dial(t)
	k.connect(key, token, nil)
	k.hear("PONG")
	for i, subject := range []string{">", wire.AllDesired, wire.DesiredSubject("us-1"), "_INBOX.us-1.>", wire.AllReports} {
		k.say("SUB %s queue %d\r\nPING\r\n", subject, i+1)
		if said := k.hear("PONG"); !strings.Contains(said, "Permissions Violation for Subscription") {
			t.Errorf("a queue on %s: %q", subject, said)
		}
	}
}

// noCallout: nobody is asked who a user is, so that there are no keys to agree upon.
func noCallout(t *testing.T, y *yard) {
	for _, token := range y.config.Accounts {
		claims, err := jwt.DecodeAccountClaims(token)
		if err != nil {
			t.Fatal(err)
		}
		if claims.Authorization.IsEnabled() {
			t.Errorf("account %q asks somebody", claims.Name)
		}
	}
}

// anonymous: who has no JWT of ours is nobody, on both ports, whatever else it says.
func anonymous(t *testing.T, y *yard) {
	for _, said := range []string{
		`{}`, `{"user":"","pass":""}`, `{"user":"sys","pass":"pass"}`, `{"user":"navarch","auth_token":"x"}`, `{"nkey":""}`,
		`{"jwt":""}`, `{"lang":"go","version":"1"}`, `{"user":"$SYS"}`,
	} {
		k := y.dial(t)
		k.say("CONNECT %s\r\nPING\r\n", said)
		refused(t, k)
		webSocket, status := y.upgrade(t, "/")
		if status != http.StatusSwitchingProtocols {
			t.Fatalf("status %d", status)
		}
		_, _ = webSocket.Write(frame(2, false, []byte("CONNECT "+said+"\r\nPING\r\n")))
		refused(t, webSocket)
	}
	silent := y.dial(t)
	silent.say("SUB > 1\r\nPUB %s 2\r\n{}\r\nPING\r\n", wire.DesiredSubject("eu-1"))
	refused(t, silent)
}

// otherAccountsStreams: an agent reaches nothing of JetStream's API, and the hub, which
// may do everything with its own streams, nothing of other accounts and of the server.
func otherAccountsStreams(t *testing.T, y *yard) {
	agents := y.account(t, "navarch-agents")
	for _, subject := range []string{
		"$JS.API.ACCOUNT.PURGE." + y.account(t, "navarch-fleet"), "$JS.API.SERVER.REMOVE", "$JS.API.META.LEADER.STEPDOWN",
		"$JS.API.ACCOUNT.STREAM.MOVE." + y.account(t, "navarch-fleet") + "." + wire.StreamReports, "$JS.API.INFO",
		"$JS.API.STREAM.DELETE." + wire.StreamReports, "$JS.API.STREAM.PURGE." + wire.StreamReports, "$JS.API.STREAM.NAMES",
		"$JS." + agents + ".API.STREAM.DELETE." + wire.StreamReports, "$JS.ACK.x",
	} {
		forbidden(t, y, subject, "{}")
	}
	hub := y.hub(t)
	for _, subject := range []string{
		"$JS.API.ACCOUNT.PURGE." + agents, "$JS.API.SERVER.REMOVE", "$JS.API.META.LEADER.STEPDOWN",
		"$JS.API.ACCOUNT.STREAM.MOVE." + agents + "." + wire.StreamReports, "$JS.API.ACCOUNT.STREAM.CANCEL_MOVE." + agents + ".X",
	} {
		answer, err := hub.Request(subject, []byte("{}"), 300*time.Millisecond)
		if err == nil && !bytes.Contains(answer.Data, []byte(`"error"`)) {
			t.Errorf("the hub asks %s and hears %q", subject, answer.Data)
		}
	}
}

// identityHeaders: who an agent is stands in no header that it could write: its subject
// says it, which its allow-list fixes.
func identityHeaders(t *testing.T, y *yard) {
	for _, token := range y.config.Accounts {
		claims, err := jwt.DecodeAccountClaims(token)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range claims.Imports {
			if one.Share {
				t.Errorf("account %q says who asks with %q", claims.Name, one.Subject)
			}
		}
		for _, one := range claims.Exports {
			if one.Latency != nil || one.AccountTokenPosition != 0 {
				t.Errorf("account %q has %q say who asks", claims.Name, one.Subject)
			}
		}
	}
	message := nats.NewMsg(wire.ClusterSubject("eu-1"))
	message.Header.Set("Nats-Request-Info", `{"acc":"`+y.account(t, "navarch-fleet")+`","user":"us-1"}`)
	message.Header.Set("Nats-Subject", wire.ClusterSubject("us-1"))
	message.Data = []byte("{}")
	if _, err := y.agent(t, "eu-1").RequestMsg(message, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(y.hub(t))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), wire.StreamReports)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := stream.GetLastMsgForSubject(t.Context(), wire.ClusterSubject("us-1")); err == nil {
		t.Errorf("it is kept as another's: %q", kept.Data)
	}
}

// traces: a message that asks for a trace has it sent to nobody.
func traces(t *testing.T, y *yard) {
	neighbour := y.agent(t, "us-1")
	other, err := neighbour.SubscribeSync(wire.DesiredSubject("us-1"))
	if err != nil {
		t.Fatal(err)
	}
	hub := y.hub(t)
	all, err := hub.SubscribeSync("fleet.v1.desired.us-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(hub.Flush(), neighbour.Flush(), other.SetPendingLimits(-1, -1)); err != nil {
		t.Fatal(err)
	}
	agent := y.agent(t, "eu-1")
	for _, destination := range []string{wire.DesiredSubject("us-1"), wire.ReportSubject("us-1", "shop"), "$JS.API.STREAM.DELETE." + wire.StreamReports} {
		for _, only := range []string{"", "true"} {
			message := nats.NewMsg(wire.ClusterSubject("eu-1"))
			message.Header.Set("Nats-Trace-Dest", destination)
			message.Header.Set("Accept-Encoding", "gzip")
			if only != "" {
				message.Header.Set("Nats-Trace-Only", only)
			}
			message.Data = []byte("{}")
			if err := agent.PublishMsg(message); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := agent.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := hub.Publish(wire.DesiredSubject("us-1"), []byte("the end")); err != nil { // what comes first would have been a trace
		t.Fatal(err)
	}
	for _, subscription := range []*nats.Subscription{all, other} {
		if message, err := subscription.NextMsg(10 * time.Second); err != nil || string(message.Data) != "the end" {
			t.Errorf("a trace came: %v, %v", message, err)
		}
	}
}

// certificatesAdmitNobody: a certificate is no way in; see anonymous for the rest.
func certificatesAdmitNobody(t *testing.T, y *yard) {
	v, err := y.Server().Varz(nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.TLSVerify || v.Websocket.TLSMap {
		t.Error("certificates of clients count")
	}
	anonymous(t, y)
}

// monitorArguments: what the process was started with is not told.
func monitorArguments(t *testing.T, y *yard) {
	for _, path := range []string{"/", "/varz", "/connz?auth=true", "/accountz", "/jsz?config=true", "/healthz"} {
		body := y.monitor(t, path)
		for _, argument := range os.Args[1:] {
			if len(argument) > 8 && strings.Contains(body, argument) {
				t.Errorf("%s tells argument %q", path, argument)
			}
		}
	}
}

// monitorNumbers: no number breaks the monitor.
func monitorNumbers(t *testing.T, y *yard) {
	for _, query := range []string{
		"limit=9223372036854775807&offset=9223372036854775807", "limit=-9223372036854775808&offset=-1", "limit=1&offset=9223372036854775807",
		"limit=9223372036854775807&offset=1&subs=detail&state=all", "cid=18446744073709551615", "limit=99999999999999999999",
	} {
		y.monitor(t, "/connz?"+query)
		y.monitor(t, "/subsz?subs=1&"+query)
		y.monitor(t, "/jsz?accounts=1&"+query)
	}
}

// webSocketBombs: who is not known yet has nothing inflated and no memory held for it.
func webSocketBombs(t *testing.T, y *yard) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, bomb := range [][]byte{
		frame(2, true, deflated(64<<20)),                         // compressed, though nobody agreed to that
		announced(2, 1<<62),                                      // a length that nobody has
		announced(2, 1<<31),                                      //
		bytes.Repeat(frame(2, false, make([]byte, 60<<10)), 200), // no end of the first line
		append([]byte("\x02"), frame(2, false, nil)[1:]...),      // a message in parts without an end
	} {
		k, status := y.upgrade(t, "/", "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover")
		if status != http.StatusSwitchingProtocols {
			t.Fatalf("status %d", status)
		}
		_, _ = k.Write(bomb)
		flood := frame(0, false, make([]byte, 60<<10))
		for range 500 { // 30 MB more, for as long as somebody takes them
			if _, err := k.Write(flood); err != nil {
				break
			}
		}
		if said := k.hear(""); strings.Contains(said, "PONG") {
			t.Errorf("it hears %q", said)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d MiB more are held", grown>>20)
	}
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 1<<30 {
		t.Errorf("%d MiB were taken for it", taken>>20)
	}
}

// webSocketFrames: frames that are against the rules end the connection, not the server.
func webSocketFrames(t *testing.T, y *yard) {
	for name, raw := range map[string][]byte{
		"not masked":            {0x82, 0x02, 'h', 'i'},
		"a reserved bit":        frame(0x42, false, []byte("PING\r\n")),
		"an unknown code":       frame(7, false, nil),
		"a long ping":           frame(9, false, make([]byte, 200)),
		"a ping in parts":       append([]byte{0x09}, frame(9, false, nil)[1:]...),
		"a close of one byte":   frame(8, false, []byte{1}),
		"a close of bad text":   frame(8, false, []byte{3, 232, 0xff, 0xfe}),
		"a part of nothing":     frame(0, false, []byte("PING\r\n")),
		"a negative length":     announced(2, 1<<63),
		"the largest length":    announced(2, 1<<64-1),
		"a close and then more": append(frame(8, false, nil), frame(2, false, []byte("PING\r\n"))...),
		"nothing":               frame(2, false, nil),
		"half a header":         {0x82},
	} {
		k, status := y.upgrade(t, "/")
		if status != http.StatusSwitchingProtocols {
			t.Fatalf("%s: status %d", name, status)
		}
		_, _ = k.Write(raw)
		_ = k.CloseWrite()
		if said := k.hear(""); strings.Contains(said, "PONG") {
			t.Errorf("%s: it hears %q", name, said)
		}
	}
}

// leafNodes: no port speaks with leaf nodes, routes or gateways.
func leafNodes(t *testing.T, y *yard) {
	for _, said := range []string{
		"INFO {\"server_id\":\"x\",\"nonce\":\"y\",\"leafnode_urls\":[\"a\"]}\r\nPING\r\n",
		"CONNECT {\"is_leaf\":true,\"server_id\":\"x\",\"name\":\"x\",\"cluster\":\"y\",\"comp_mode\":\"s2_auto\",\"isolate\":true}\r\nPING\r\n",
		"CONNECT {\"server_id\":\"x\",\"gateway\":\"g\",\"pedantic\":true}\r\nPING\r\n",
		"LS+ a 1\r\nPING\r\n", "LS- a\r\nPING\r\n", "LMSG a 1\r\nx\r\nPING\r\n", "LMSG a + b c 99999999999999999999\r\nPING\r\n",
		"RS+ A a\r\nPING\r\n", "RMSG A a 1\r\nx\r\nPING\r\n", "A+ x\r\nPING\r\n", "HPUB a 1 -1\r\nPING\r\n",
	} {
		k := y.dial(t)
		k.say("%s", said)
		if heard := k.hear(""); strings.Contains(heard, "PONG") || !strings.Contains(heard, "-ERR") && heard != "" {
			t.Errorf("after %q it hears %q", said, heard)
		}
	}
	k, _ := y.upgrade(t, "/leafnode")
	k.say("%s", frame(2, false, []byte("CONNECT {\"is_leaf\":true}\r\nPING\r\n")))
	if heard := k.hear(""); strings.Contains(heard, "PONG") || strings.Contains(heard, "INFO") {
		t.Errorf("over WebSocket it hears %q", heard)
	}
}

// brokenJWTs: what looks like a JWT and is none is refused.
func brokenJWTs(t *testing.T, y *yard) {
	key, good := y.agentKey(t, "eu-1", time.Hour)
	parts := strings.Split(good, ".")
	none := "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0" // {"typ":"JWT","alg":"none"}
	for name, token := range map[string]string{
		"dots":                 "..",
		"three words":          "a.b.c",
		"two parts":            parts[0] + "." + parts[1],
		"no signature":         parts[0] + "." + parts[1] + ".",
		"no algorithm":         none + "." + parts[1] + ".",
		"another's signature":  parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"no content":           parts[0] + ".." + parts[2],
		"empty content":        parts[0] + ".e30." + parts[2],
		"null":                 "bnVsbA.bnVsbA.bnVsbA",
		"content that is long": parts[0] + "." + strings.Repeat("A", 3000) + "." + parts[2],
		"an account":           y.config.Accounts[y.account(t, "navarch-agents")],
		"an operator":          y.config.Operator,
		"an issuer of nothing": parts[0] + ".eyJpc3MiOiIiLCJzdWIiOiIiLCJuYXRzIjp7InR5cGUiOiJ1c2VyIiwidmVyc2lvbiI6Mn19." + parts[2],
		"a short issuer":       parts[0] + ".eyJpc3MiOiJBIiwic3ViIjoiVSIsIm5hdHMiOnsidHlwZSI6InVzZXIiLCJ2ZXJzaW9uIjoyfX0." + parts[2],
		"old":                  parts[0] + ".eyJpc3MiOiJBIiwidHlwZSI6InVzZXIifQ." + parts[2],
	} {
		k := y.dial(t)
		k.connect(key, token, nil)
		if said := k.hear(""); strings.Contains(said, "PONG") || !strings.Contains(said, "-ERR") {
			t.Errorf("%s: it hears %q", name, said)
		}
	}
}

// noMQTT: neither port speaks MQTT.
func noMQTT(t *testing.T, y *yard) {
	connect := []byte("\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04evil")
	k := y.dial(t)
	_, _ = k.Write(connect)
	if said := k.hear(""); strings.HasPrefix(said, "\x20") { // CONNACK
		t.Errorf("it hears %q", said)
	}
	for _, path := range []string{"/mqtt", "/a/mqtt", "/%6dqtt"} {
		if _, status := y.upgrade(t, path, "Sec-WebSocket-Protocol: mqtt"); path != "/%6dqtt" && status != http.StatusNotFound {
			t.Errorf("%s has status %d", path, status)
		}
	}
}

// TestRevokedAtOnce: who is revoked is cut from both ports and does not come in again; the
// other agents stay.
func TestRevokedAtOnce(t *testing.T) {
	y := newYard(t)
	key, token := y.agentKey(t, "eu-1", time.Hour)
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	k := y.dial(t)
	k.connect(key, token, nil)
	k.hear("PONG")
	other := y.agent(t, "us-1", nats.NoReconnect())
	accounts, err := y.identity.AccountJWTsWithout(map[string]time.Time{public: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := y.Replace(accounts); err != nil {
		t.Fatal(err)
	}
	k.hear("") // until it hangs up
	again := y.dial(t)
	again.connect(key, token, nil)
	refused(t, again)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := other.FlushWithContext(ctx); err != nil {
		t.Errorf("another agent was cut: %v", err)
	}
}

// frame is a WebSocket frame as clients send them, masked with nothing.
func frame(code byte, compressed bool, payload []byte) []byte {
	head := []byte{0x80 | code}
	if compressed {
		head[0] |= 0x40
	}
	switch n := len(payload); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(n))
	}
	return append(append(head, 0, 0, 0, 0), payload...)
}

// announced is the beginning of a frame of some length.
func announced(code byte, length uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{0x80 | code, 0x80 | 127}, length), 0, 0, 0, 0)
}
