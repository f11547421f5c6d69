package enrol

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// NewToken signs an invitation.
func (i *Identity) NewToken(invitation wire.Invitation) (wire.Token, error) {
	seed := make([]byte, 32)
	if _, err := rand.Read(seed); err != nil {
		return wire.Token{}, fmt.Errorf("make a token: %w", err)
	}
	return wire.NewToken(invitation, seed, i.ring().signing)
}

// doorPayload is more than any request for enrolment has.
const doorPayload = 32 << 10

// DoorCredentials returns new credentials that are good for asking for enrolment as
// one cluster, and nothing else, in the form of a NATS credentials file. They do not
// expire: an agent that was away for longer than its JWT was good comes back by them.
func (i *Identity) DoorCredentials(cluster fleet.ClusterName) ([]byte, error) {
	if _, err := fleet.ParseClusterName(string(cluster)); err != nil {
		return nil, err
	}
	return credentials(i.agents, func(user *jwt.UserClaims) {
		allow := wire.AllowDoor(cluster)
		user.Name = "door of " + string(cluster)
		user.Pub.Allow.Add(allow.Publish...)
		user.Sub.Allow.Add(allow.Subscribe...)
		user.NatsLimits = jwt.NatsLimits{Subs: 2, Data: jwt.NoLimit, Payload: doorPayload}
		user.AllowedConnectionTypes.Add(jwt.ConnectionTypeStandard, jwt.ConnectionTypeWebsocket)
	})
}

// AgentJWT signs what the agent of a cluster may do with a key, until it expires. It
// returns when it was issued, in the whole seconds that a JWT says.
func (i *Identity) AgentJWT(cluster fleet.ClusterName, key string, expires time.Time) (token string, issued time.Time, err error) {
	if _, err := fleet.ParseClusterName(string(cluster)); err != nil {
		return "", time.Time{}, err
	}
	if !nkeys.IsValidPublicUserKey(key) {
		return "", time.Time{}, errors.New("sign the JWT of an agent: its key is no public user key")
	}
	claims := jwt.NewUserClaims(key)
	describeAgent(claims, cluster)
	claims.Expires = expires.Unix()
	if token, err = claims.Encode(i.agents); err != nil {
		return "", time.Time{}, fmt.Errorf("sign the JWT of cluster %q: %w", cluster, err)
	}
	return token, time.Unix(claims.IssuedAt, 0), nil
}

// signedBefore tells whether a JWT is one that this hub gave to the agent of a
// cluster with a key. It may have expired.
func (i *Identity) signedBefore(token string, cluster fleet.ClusterName, key string) bool {
	if token == "" {
		return false
	}
	claims, err := jwt.DecodeUserClaims(token) // verifies that it is signed by its issuer
	return err == nil && claims.Issuer == i.agents.public && claims.Subject == key && claims.Tags.Contains(clusterTag(cluster))
}

func clusterTag(cluster fleet.ClusterName) string { return "cluster:" + string(cluster) }

// describeAgent makes claims those of a cluster's agent.
func describeAgent(user *jwt.UserClaims, cluster fleet.ClusterName) {
	allow := wire.AllowAgent(cluster)
	user.Name = string(cluster)
	user.Tags.Add(clusterTag(cluster))
	user.Pub.Allow.Add(allow.Publish...)
	user.Sub.Allow.Add(allow.Subscribe...)
	user.NatsLimits = jwt.NatsLimits{Subs: agentSubscriptions, Data: jwt.NoLimit, Payload: wire.MaxMessage}
	user.AllowedConnectionTypes.Add(jwt.ConnectionTypeStandard, jwt.ConnectionTypeWebsocket)
}
