package repo

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// App is a GitHub App that may read the repository. It is known by a key, and is
// given tokens that are good for an hour.
type App struct {
	ID           string // of the App, or its client ID
	Installation string // ID of its installation where the repository is
	KeyFile      string // its private key, as GitHub gives it
	API          string // base URL of the API; default that of the host of the repository
}

const (
	renewAhead = 5 * time.Minute // before a token of the App expires, another is asked for
	keyLife    = 5 * time.Minute // of what the App says to get one
	maxSlow    = time.Minute     // by which the clocks may differ
)

// appLogin gets tokens for an App. It is used by one goroutine at a time.
type appLogin struct {
	app        App
	key        *rsa.PrivateKey
	client     *http.Client
	url        string // where tokens are asked for
	repository string // name of the only one that tokens are for
	token      string // empty: none
	expires    time.Time
}

// appError is why there is no token. It holds no credentials.
type appError struct{ why string }

func (e *appError) Error() string { return e.why }

func newAppLogin(app App, where address, client *http.Client) (*appLogin, error) {
	if app.ID == "" || app.Installation == "" || app.KeyFile == "" {
		return nil, errors.New("a GitHub App needs all of --github-app-id, --github-installation-id and --github-key-file")
	}
	if _, err := strconv.ParseUint(app.Installation, 10, 64); err != nil {
		return nil, fmt.Errorf("the installation ID %q of the GitHub App is not a number: it is the end of the URL of the installation's settings", app.Installation)
	}
	content, err := os.ReadFile(app.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read the key of the GitHub App: %w", err)
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM(content)
	if err != nil {
		return nil, fmt.Errorf("the file %q is not the RSA key of a GitHub App: generate one in the settings of the App", app.KeyFile)
	}
	base, err := apiOf(app, where)
	if err != nil {
		return nil, err
	}
	return &appLogin{
		app: app, key: key, client: client, url: base + "/app/installations/" + app.Installation + "/access_tokens",
		repository: strings.TrimSuffix(path.Base(strings.TrimRight(where.path, "/")), ".git"),
	}, nil
}

// apiOf returns where GitHub answers for the host of a repository.
func apiOf(app App, where address) (string, error) {
	repository, err := url.Parse(where.shown)
	if err != nil {
		return "", errors.New("the URL of the repository cannot be read")
	}
	if app.API == "" {
		if strings.EqualFold(repository.Hostname(), "github.com") {
			return "https://api.github.com", nil
		}
		return repository.Scheme + "://" + repository.Host + "/api/v3", nil
	}
	u, err := url.Parse(app.API)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "", fmt.Errorf("the URL %q of the GitHub API cannot be one: write it as in https://github.example.com/api/v3", app.API)
	}
	if u.Scheme == "http" && repository.Scheme == "https" {
		return "", fmt.Errorf("the URL %q of the GitHub API has tokens travel in the clear: write it with https", app.API)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func (l *appLogin) credentials(ctx context.Context) (username, password string, err error) {
	if l.token == "" || time.Until(l.expires) < renewAhead {
		l.token = ""
		if err := l.renew(ctx); err != nil {
			return "", "", err
		}
	}
	return "x-access-token", l.token, nil
}

func (l *appLogin) refused()     { l.token = "" }
func (l *appLogin) kind() string { return "the token of the GitHub App" }

// issued is what GitHub answers to who asks for a token.
type issued struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires_at"`
	Message string    `json:"message"` // of an error
}

// renew asks for a token that may read this repository and do nothing else.
func (l *appLogin) renew(ctx context.Context) error {
	proof, err := l.proof(time.Now())
	if err != nil {
		return &appError{why: "the key of the GitHub App cannot sign: " + err.Error()}
	}
	body, err := json.Marshal(map[string]any{"repositories": []string{l.repository}, "permissions": map[string]string{"contents": "read"}})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+proof)
	request.Header.Set("Accept", "application/vnd.github+json")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	quote := (&remote{masks: masks(proof, "")}).quote
	response, err := l.client.Do(request)
	if err != nil {
		return &appError{why: fmt.Sprintf("GitHub's API at %q cannot be asked for a token (%s): check the URL and the network", l.url, quote(cause(err)))}
	}
	defer response.Body.Close()
	var answer issued
	decoded := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&answer)
	switch {
	case response.StatusCode != http.StatusCreated:
		words := cmp.Or(answer.Message, http.StatusText(response.StatusCode), "no reason given")
		return &appError{why: fmt.Sprintf("GitHub's API at %q gives no token, status %d (%s): check the ID of the App and of its installation, its key, and that it may read the contents of repository %q", l.url, response.StatusCode, quote(errors.New(words)), l.repository)}
	case decoded != nil || !sayable(answer.Token):
		return &appError{why: fmt.Sprintf("the answer of GitHub's API at %q holds no token: check the URL of the API", l.url)}
	}
	l.token, l.expires = answer.Token, answer.Expires
	return nil
}

// proof says that this is the App, for a short time.
func (l *appLogin) proof(now time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer:    l.app.ID,
		IssuedAt:  jwt.NewNumericDate(now.Add(-maxSlow)),
		ExpiresAt: jwt.NewNumericDate(now.Add(keyLife)),
	}).SignedString(l.key)
}

// sayable tells whether a token can stand in a header.
func sayable(token string) bool {
	return token != "" && !strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c >= 0x7f })
}

// cause looks behind the URL that net/http names in its errors.
func cause(err error) error {
	var way *url.Error
	if errors.As(err, &way) {
		return way.Err
	}
	return err
}
