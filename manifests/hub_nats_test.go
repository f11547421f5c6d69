package manifests_test

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/manifests"
)

// hubObjects are what decides who reaches NATS.
type hubObjects struct {
	set    appsv1.StatefulSet
	nats   corev1.Service
	policy networkingv1.NetworkPolicy
	secret corev1.Secret
}

func hubOf(t *testing.T, c manifests.HubConfig) hubObjects {
	t.Helper()
	manifest, err := manifests.Hub(c)
	check(t, err)
	var h hubObjects
	for _, object := range split(t, manifest) {
		var named struct{ Metadata struct{ Name string } }
		check(t, yaml.Unmarshal(object, &named))
		switch into := typed(t, object).(type) {
		case *appsv1.StatefulSet:
			check(t, yaml.UnmarshalStrict(object, &h.set))
		case *networkingv1.NetworkPolicy:
			check(t, yaml.UnmarshalStrict(object, &h.policy))
		case *corev1.Service:
			if named.Metadata.Name == "navarch-hub-nats" {
				check(t, yaml.UnmarshalStrict(object, &h.nats))
			}
		case *corev1.Secret:
			if named.Metadata.Name == "navarch-hub" {
				check(t, yaml.UnmarshalStrict(object, &h.secret))
			}
		default:
			_ = into // the other objects have nothing to do with NATS
		}
	}
	return h
}

// TestWebSocket: each of the ways to NATS is open from the Service to the container.
func TestWebSocket(t *testing.T) {
	c := hubConfig()
	c.WebSocket = true
	h := hubOf(t, c)
	container := h.set.Spec.Template.Spec.Containers[0]
	for name, outside := range map[string]int32{"nats": 4222, "websocket": 443} {
		service := slices.IndexFunc(h.nats.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == outside && p.TargetPort.StrVal == name })
		listens := slices.IndexFunc(container.Ports, func(p corev1.ContainerPort) bool { return p.Name == name })
		open := slices.IndexFunc(h.policy.Spec.Ingress[0].Ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.StrVal == name })
		if service < 0 || listens < 0 || open < 0 {
			t.Errorf("%s: Service %d, container %d, NetworkPolicy %d", name, service, listens, open)
		}
	}
	for _, want := range []string{
		"--nats-websocket-listen=:8443",
		"--agent-urls=tls://hub.example.com:4222,wss://hub.example.com:443,tls://10.0.0.7:4222,wss://10.0.0.7:443",
	} {
		if !slices.Contains(container.Args, want) {
			t.Errorf("the hub is not told %s: %q", want, container.Args)
		}
	}
}

// TestServersOfOnesOwn: nobody outside reaches for a NATS that the hub does not have.
func TestServersOfOnesOwn(t *testing.T) {
	c := ownServers()
	h := hubOf(t, c)
	if h.nats.Name != "" {
		t.Error("there is a Service for a server that does not run")
	}
	pod := h.set.Spec.Template.Spec
	for _, want := range []string{"--nats-url=" + c.NATSURL, "--nats-ca=/etc/navarch/hub/nats-ca.crt"} {
		if !slices.Contains(pod.Containers[0].Args, want) {
			t.Errorf("the hub is not told %s: %q", want, pod.Containers[0].Args)
		}
	}
	if h.secret.StringData["nats-ca.crt"] != string(c.NATSCA) {
		t.Error("the hub has no certificate authority to check the servers against")
	}
	c.NATSURL = ""
	if _, err := manifests.Hub(c); err == nil {
		t.Error("a certificate authority of no server is taken")
	}
	c = ownServers()
	c.WebSocket = true
	if _, err := manifests.Hub(c); err == nil {
		t.Error("WebSocket is offered by a server that does not run")
	}
}

func ownServers() manifests.HubConfig {
	c := hubConfig()
	c.NATSURL, c.NATSCA = "tls://nats-1.example.com:4222,tls://nats-2.example.com:4222", []byte("-----BEGIN CERTIFICATE-----\n")
	return c
}
