// Package broker runs the NATS server that is part of the hub.
//
// It carries step 8 of one git push to step 9, and step 13 back to step 14: a
// server in operator mode, which knows its users by what the hub's identity has
// signed, with the streams of JetStream in a folder. What the streams hold can all
// be derived again, and agents trust none of it without the hub's signature.
//
// The server speaks NATS over TLS on one port and, where it is told to, NATS over
// WebSocket over TLS on another, and nothing else: no MQTT, no leaf nodes, no gateways,
// no routes, and no monitoring but on loopback.
package broker
