package enrol

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// agentSubscriptions is more than an agent ever has at once.
const agentSubscriptions = 16

// SigningKey returns the key that signs announcements now.
func (i *Identity) SigningKey() ed25519.PrivateKey { return i.ring().signing }

// PublicKey returns the key that agents pin which are installed now.
func (i *Identity) PublicKey() ed25519.PublicKey { return publicOf(i.ring().signing) }

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey {
	return key.Public().(ed25519.PublicKey) //nolint:forcetypeassert // documented
}

// OperatorJWT returns what a NATS server trusts: the operator that signed the
// accounts. Each call signs it anew.
func (i *Identity) OperatorJWT() (string, error) {
	claims := jwt.NewOperatorClaims(i.operator.public)
	claims.Name = "navarch"
	claims.SystemAccount = i.system.public
	token, err := claims.Encode(i.operator)
	if err != nil {
		return "", fmt.Errorf("sign the operator: %w", err)
	}
	return token, nil
}

// SystemAccount returns the public key of the account that is the server's own.
func (i *Identity) SystemAccount() string { return i.system.public }

// AccountJWTs returns the accounts of a NATS server by their public keys: the
// hub's with its streams, the agents' with what [wire.OfferAgents] says, and the
// one of the server itself. Each call signs them anew.
func (i *Identity) AccountJWTs() (map[string]string, error) { return i.AccountJWTsWithout(nil) }

// AccountJWTsWithout returns the same accounts, with what was signed for the users
// with some keys up to a time taken back.
func (i *Identity) AccountJWTsWithout(revoked map[string]time.Time) (map[string]string, error) {
	hub := newAccount(i.fleet.public, "navarch-fleet")
	hub.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit,
		DiskStorage:   jwt.NoLimit,
		Streams:       jwt.NoLimit,
		Consumer:      jwt.NoLimit,
	}
	agents := newAccount(i.agents.public, "navarch-agents")
	for key, when := range revoked {
		agents.RevokeAt(key, when)
	}
	offer := wire.OfferAgents()
	for _, subject := range offer.Services {
		share(hub, agents, subject, jwt.Service)
	}
	for _, subject := range offer.Streams {
		share(hub, agents, subject, jwt.Stream)
	}
	tokens := make(map[string]string, 3)
	for _, account := range []*jwt.AccountClaims{hub, agents, newAccount(i.system.public, "navarch-system")} {
		token, err := account.Encode(i.operator)
		if err != nil {
			return nil, fmt.Errorf("sign account %q: %w", account.Name, err)
		}
		tokens[account.Subject] = token
	}
	return tokens, nil
}

func newAccount(key, name string) *jwt.AccountClaims {
	account := jwt.NewAccountClaims(key)
	account.Name = name
	account.Limits.LeafNodeConn = 0
	account.Limits.DisallowBearer = true
	return account
}

// share lets the users of another account use a subject of an account.
func share(from, to *jwt.AccountClaims, subject string, kind jwt.ExportType) {
	export := &jwt.Export{Name: subject, Subject: jwt.Subject(subject), Type: kind}
	if kind == jwt.Service {
		export.ResponseType = jwt.ResponseTypeSingleton
	}
	from.Exports.Add(export)
	to.Imports.Add(&jwt.Import{Name: subject, Subject: jwt.Subject(subject), Account: from.Subject, Type: kind})
}

// HubCredentials returns new credentials for a hub, in the form of a NATS
// credentials file.
func (i *Identity) HubCredentials() ([]byte, error) {
	return credentials(i.fleet, func(user *jwt.UserClaims) {
		user.Name = "hub"
		user.AllowedConnectionTypes.Add(jwt.ConnectionTypeInProcess, jwt.ConnectionTypeStandard, jwt.ConnectionTypeWebsocket)
	})
}

// AgentCredentials returns new credentials for the agent of a cluster, in the
// form of a NATS credentials file. They allow what [wire.AllowAgent] says and
// nothing else.
func (i *Identity) AgentCredentials(cluster fleet.ClusterName) ([]byte, error) {
	if _, err := fleet.ParseClusterName(string(cluster)); err != nil {
		return nil, err
	}
	return credentials(i.agents, func(user *jwt.UserClaims) { describeAgent(user, cluster) })
}

// credentials makes a key for a user of an account and signs what it may do.
func credentials(account natsKey, describe func(*jwt.UserClaims)) ([]byte, error) {
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("make a user's key: %w", err)
	}
	key, err := user.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("make a user's key: %w", err)
	}
	claims := jwt.NewUserClaims(key)
	describe(claims)
	token, err := claims.Encode(account)
	if err != nil {
		return nil, fmt.Errorf("sign user %q: %w", claims.Name, err)
	}
	seed, err := user.Seed()
	if err != nil {
		return nil, fmt.Errorf("encode the key of user %q: %w", claims.Name, err)
	}
	file, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		return nil, fmt.Errorf("format the credentials of user %q: %w", claims.Name, err)
	}
	return file, nil
}
