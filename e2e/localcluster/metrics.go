package main

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	resourceMetrics "sigs.k8s.io/kwok/kustomize/metrics/resource"
	"sigs.k8s.io/kwok/kustomize/metrics/usage"
)

// measurement is how a cluster measures what its nodes use: KWOK plays the kubelets
// that say so, a stock metrics-server sums it up, and the API server aggregates it as
// metrics.k8s.io.
type measurement struct {
	// Server is the path of the metrics-server program.
	Server string `json:"server"`
	// Port is metrics-server's and KubeletPort that of all kubelets, on loopback.
	Port        int `json:"port"`
	KubeletPort int `json:"kubeletPort"`
}

const (
	metricsNamespace = metav1.NamespaceSystem
	metricsHost      = metricsServer + "." + metricsNamespace + ".svc" // whom the API server expects
	metricsGroup     = "metrics.k8s.io"
	metricsVersion   = "v1beta1"
	// kubeletPath is where KWOK says what a node uses. Kubelets have it elsewhere, and
	// metrics-server goes where a node's annotation says.
	kubeletPath           = "/metrics/nodes/%s/metrics/resource"
	kubeletPathAnnotation = "metrics.k8s.io/resource-metrics-path"
)

// usageConfig tells KWOK to say what nodes use. A pod uses what its annotations
// kwok.x-k8s.io/usage-cpu and usage-memory say, and next to nothing without.
func usageConfig() []string {
	return []string{resourceMetrics.DefaultMetricsResource, usage.DefaultUsageFromAnnotation}
}

// writeMeasurementKeys makes the certificate that metrics-server and kubelets serve
// with.
func (c *cluster) writeMeasurementKeys(ca *authority) error {
	pair, err := ca.issue(x509.Certificate{
		Subject:     pkix.Name{CommonName: metricsServer},
		DNSNames:    []string{metricsHost},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.key("metrics.crt"), pair.cert, 0o600); err != nil {
		return err
	}
	return os.WriteFile(c.key("metrics.key"), pair.key, 0o600)
}

// kubeletArgs make KWOK serve what kubelets do.
func (c *cluster) kubeletArgs() []string {
	return []string{
		"--server-address=127.0.0.1:" + strconv.Itoa(c.Metrics.KubeletPort),
		"--node-ip=127.0.0.1",
		"--node-port=" + strconv.Itoa(c.Metrics.KubeletPort),
		"--tls-cert-file=" + c.key("metrics.crt"),
		"--tls-private-key-file=" + c.key("metrics.key"),
	}
}

func (c *cluster) metricsServerArgs() []string {
	return []string{
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(c.Metrics.Port),
		"--tls-cert-file=" + c.key("metrics.crt"),
		"--tls-private-key-file=" + c.key("metrics.key"),
		"--kubeconfig=" + c.kubeconfig(metricsServer),
		"--authentication-kubeconfig=" + c.kubeconfig(metricsServer),
		"--authorization-kubeconfig=" + c.kubeconfig(metricsServer),
		"--kubelet-preferred-address-types=InternalIP",
		"--kubelet-use-node-status-port",
		"--kubelet-certificate-authority=" + c.key("ca.crt"),
		"--kubelet-request-timeout=5s",
		"--metric-resolution=10s", // the shortest that it takes
	}
}

// serveMetrics has the API server pass metrics.k8s.io on to metrics-server.
func (c *cluster) serveMetrics(ctx context.Context, client kubernetes.Interface) error {
	_, err := client.CoreV1().Services(metricsNamespace).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: metricsServer},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make the Service of metrics-server: %w", err)
	}
	ca, err := os.ReadFile(c.key("ca.crt"))
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1",
		"kind":       "APIService",
		"metadata":   map[string]any{"name": metricsVersion + "." + metricsGroup},
		"spec": map[string]any{
			"group": metricsGroup, "version": metricsVersion, "groupPriorityMinimum": 100, "versionPriority": 100, "caBundle": ca,
			"service": map[string]any{"namespace": metricsNamespace, "name": metricsServer, "port": c.Metrics.Port},
		},
	})
	if err != nil {
		return err
	}
	err = client.Discovery().RESTClient().Post().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices").Body(body).
		SetHeader("Content-Type", "application/json").Do(ctx).Error()
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make the APIService of metrics-server: %w", err)
	}
	return nil
}
