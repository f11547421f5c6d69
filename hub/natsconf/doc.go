// Package natsconf writes the configuration of NATS servers that are not the one in the
// hub: one server, or the nodes of a cluster.
//
// It stands outside of the fifteen steps of one git push. What it writes has the limits
// that the hub's own server has, and holds no key: whom to trust is public.
package natsconf
