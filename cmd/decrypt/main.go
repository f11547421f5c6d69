// Command navarch-decrypt makes plain what SOPS has encrypted. It is for navarch-agent,
// which starts it when an app holds something encrypted and gives it the keys of the
// cluster; it ends when it has answered. It is a program and a module of its own because
// of what SOPS brings along: the clients of five clouds, which have no business in a
// process that is there all the time and may do everything in its cluster.
//
// It reads one [request] as JSON on its standard input and writes one [answer] as JSON on
// its standard output. It reads and writes no file. Keys and plain values are in its
// memory only, and in no message: why something could not be decrypted is said by one
// word of [refusal] and by names.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/getsops/sops/v3/logging"
	"github.com/sirupsen/logrus"
)

// maxRequest bounds the input: an app's objects, in base64, and room for the keys.
const maxRequest = 96 << 20

func main() {
	logging.SetLevel(logrus.PanicLevel) // SOPS would write comments of what it decrypts
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// run answers one request, in so much memory and no more.
func run(in io.Reader, out io.Writer) error {
	if err := boundMemory(); err != nil {
		return err
	}
	return serve(in, out)
}

func serve(in io.Reader, out io.Writer) error {
	var r request
	decoder := json.NewDecoder(io.LimitReader(in, maxRequest))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return fmt.Errorf("read the request: it is not JSON of the right form, or larger than %d bytes (navarch-agent and navarch-decrypt of one version belong together)", maxRequest)
	}
	keys, err := openKeys(r)
	if err != nil {
		return json.NewEncoder(out).Encode(answer{Problem: err.Error()})
	}
	a := answer{Documents: make([]result, len(r.Documents))}
	for i, d := range r.Documents {
		a.Documents[i] = keys.decrypt(d)
	}
	return json.NewEncoder(out).Encode(a)
}
