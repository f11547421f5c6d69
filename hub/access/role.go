package access

import "fmt"

// Role is what somebody may do. Each role may do what those before it may.
type Role int

// The roles. The zero value may do nothing.
const (
	None     Role = iota
	Viewer        // sees
	Operator      // and releases commits that are held
	Admin         // and adds, approves and cuts off clusters, and reads the audit log
)

var roleNames = []string{"none", "viewer", "operator", "admin"}

// String returns the word that grants have for the role.
func (r Role) String() string { return roleNames[r] }

// ParseRole reads the word of a role that somebody can have.
func ParseRole(word string) (Role, error) {
	for _, role := range []Role{Viewer, Operator, Admin} {
		if word == role.String() {
			return role, nil
		}
	}
	return None, fmt.Errorf("%q is no role: want viewer, operator or admin", word)
}

// Need is what a route asks of who asks. The zero value is a route that nobody has
// decided about, which is never served.
type Need int

// The needs.
const (
	Undecided Need = iota
	Anyone         // the handler checks for itself, or has nothing to hide
	Viewers
	Operators
	Admins
)

// Role returns the role that is needed; None for [Anyone].
func (n Need) Role() Role {
	switch n {
	case Viewers:
		return Viewer
	case Operators:
		return Operator
	case Admins:
		return Admin
	case Undecided, Anyone:
	}
	return None
}
