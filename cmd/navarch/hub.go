package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// hub is a running hub by its JSON API.
type hub struct {
	url   *url.URL
	token string // that says who asks; empty: nobody says so
}

// answerTime is how long a hub may take to answer.
const answerTime = 15 * time.Second

// hubFlag adds the flag that says where the hub is.
func hubFlag(flags *pflag.FlagSet, address *string) {
	flags.StringVar(address, "hub", cmp.Or(os.Getenv("NAVARCH_HUB"), "http://127.0.0.1:8080"), "address of the hub; also NAVARCH_HUB")
}

func parseHub(cmd *cobra.Command, address string) (hub, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return hub{}, usageError{cmd.CommandPath(), fmt.Errorf("--hub %q: want the address of the dashboard, as in http://127.0.0.1:8080", address)}
	}
	token, err := readToken(cmd, u)
	return hub{u, token}, err
}

// The types below are what this command reads of the hub's answers.

type fleetAnswer struct {
	At         time.Time        `json:"at"`
	Repository repositoryAnswer `json:"repository"`
	Latest     *commitAnswer    `json:"latest"`
	Accepted   *commitAnswer    `json:"accepted"`
	Hold       *holdAnswer      `json:"hold"`
}

type repositoryAnswer struct {
	URL   string `json:"url"`
	Error string `json:"error"`
}

type commitAnswer struct {
	Revision string         `json:"revision"`
	Rewound  bool           `json:"rewound"`
	Accepted bool           `json:"accepted"`
	Problems fleet.Problems `json:"problems"`
}

type holdAnswer struct {
	Revision string         `json:"revision"`
	Reasons  []fleet.Hold   `json:"reasons"`
	Changes  []fleet.Change `json:"changes"`
	Deleted  int            `json:"deleted"`
}

type clustersAnswer struct {
	Pages    int             `json:"pages"`
	Clusters []clusterAnswer `json:"clusters"`
}

type clusterAnswer struct {
	Name    fleet.ClusterName `json:"name"`
	Region  string            `json:"region"`
	Health  string            `json:"health"`
	Message string            `json:"message"`
	Heard   time.Time         `json:"heard"`
	Agent   *struct {
		Version   string `json:"version"`
		Recipient string `json:"recipient"`
	} `json:"agent"`
	Apps []cellAnswer `json:"apps"`
}

type cellAnswer struct {
	App       fleet.AppName `json:"app"`
	Namespace string        `json:"namespace"`
	Health    string        `json:"health"`
	Said      string        `json:"said"`
	Message   string        `json:"message"`
	Because   fleet.Because `json:"because"`
	Desired   wire.Applied  `json:"desired"`
	Applied   wire.Applied  `json:"applied"`
	Announced time.Time     `json:"announced"`
	Behind    bool          `json:"behind"`
}

// fleet asks for what concerns the whole fleet.
func (h hub) fleet(ctx context.Context) (fleetAnswer, error) {
	var answer fleetAnswer
	return answer, h.call(ctx, http.MethodGet, "/api/v1/fleet", nil, &answer)
}

// clusters asks for every cluster.
func (h hub) clusters(ctx context.Context) ([]clusterAnswer, error) {
	var all []clusterAnswer
	for page := 1; ; page++ {
		var answer clustersAnswer
		if err := h.call(ctx, http.MethodGet, "/api/v1/clusters?page="+strconv.Itoa(page), nil, &answer); err != nil {
			return nil, err
		}
		all = append(all, answer.Clusters...)
		if page >= answer.Pages {
			return all, nil
		}
	}
}

// release tells the hub that a person agrees to what a held commit deletes.
func (h hub) release(ctx context.Context, revision string) error {
	return h.call(ctx, http.MethodPost, "/api/v1/release", map[string]string{"revision": revision}, nil)
}

// call asks the hub one thing and decodes the answer.
func (h hub) call(ctx context.Context, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	response, err := h.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read the hub's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return h.refusal(response.Status, content)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(content, answer); err != nil {
		return h.noHub(path)
	}
	return nil
}

// send sends one request. The caller closes the body of the response.
func (h hub) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(h.url.String(), "/")+path, content)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if h.token != "" {
		request.Header.Set("Authorization", "Bearer "+h.token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // without the address, which is said below
		}
		return nil, fmt.Errorf("ask the hub at %s: %w (start it, or say where it is with --hub or NAVARCH_HUB)", h.url.Redacted(), err)
	}
	return response, nil
}

// refusal is an answer other than 200 as an error.
func (h hub) refusal(status string, content []byte) error {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(content, &said) != nil || said.Error == "" {
		return fmt.Errorf("the hub at %s answered %s (is this the address of its dashboard?)", h.url.Redacted(), status)
	}
	return errors.New(said.Error)
}

func (h hub) noHub(path string) error {
	return fmt.Errorf("%s does not answer as a hub does at %s (say the address of its dashboard with --hub)", h.url.Redacted(), path)
}
