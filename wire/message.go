package wire

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/navarch/navarch/fleet"
)

// The limits of what an agent says.
const (
	MaxMessage   = 1 << 20   // bytes of one message on NATS
	maxReport    = 16 << 20  // bytes of a report's JSON
	maxPlain     = 128 << 10 // bytes of a report that travels as it is
	maxHeartbeat = 64 << 10
)

// EncodeReport returns the form of r on the wire: JSON, compressed with zstd where
// it is long.
func EncodeReport(r Report) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode report of app %q: %w", r.App, err)
	}
	if len(body) <= maxPlain {
		return body, nil
	}
	if len(body) > maxReport || countValues(body, maxValues) > maxValues {
		return nil, fmt.Errorf("report of app %q with %d objects is %d bytes: split the app", r.App, len(r.Objects), len(body))
	}
	packed := compressor.EncodeAll(body, nil)
	if len(packed) > MaxMessage {
		return nil, fmt.Errorf("report of app %q with %d objects is %d bytes, %d compressed: split the app", r.App, len(r.Objects), len(body), len(packed))
	}
	return packed, nil
}

// DecodeReport reads what came on the subject of an app's report. It refuses a
// report that is about another app or cluster than its subject.
func DecodeReport(message []byte, cluster fleet.ClusterName, app fleet.AppName) (Report, error) {
	body, err := inflate(message)
	if err != nil {
		return Report{}, fmt.Errorf("decode report: %w", err)
	}
	if countValues(body, maxValues) > maxValues {
		return Report{}, fmt.Errorf("decode report: it has more than %d values", maxValues)
	}
	var r Report
	if err := json.Unmarshal(body, &r); err != nil {
		return Report{}, fmt.Errorf("decode report: %w", err)
	}
	if r.Version != Version {
		return Report{}, fmt.Errorf("report has version %d, this hub knows %d: update the older of the two", r.Version, Version)
	}
	if r.Cluster != cluster || r.App != app {
		return Report{}, fmt.Errorf("report is about app %q of cluster %q, its subject about app %q of cluster %q", r.App, r.Cluster, app, cluster)
	}
	return r, nil
}

// EncodeHeartbeat returns the form of h on the wire: JSON.
func EncodeHeartbeat(h Heartbeat) ([]byte, error) {
	body, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode heartbeat of cluster %q: %w", h.Cluster, err)
	}
	if len(body) > maxHeartbeat {
		return nil, fmt.Errorf("heartbeat of cluster %q is %d bytes, a heartbeat has %d", h.Cluster, len(body), maxHeartbeat)
	}
	return body, nil
}

// DecodeHeartbeat reads what came on the subject of a cluster's heartbeat. It
// refuses a heartbeat of another cluster.
func DecodeHeartbeat(message []byte, cluster fleet.ClusterName) (Heartbeat, error) {
	if len(message) > maxHeartbeat {
		return Heartbeat{}, fmt.Errorf("decode heartbeat: it is %d bytes, a heartbeat has %d", len(message), maxHeartbeat)
	}
	var h Heartbeat
	if err := json.Unmarshal(message, &h); err != nil {
		return Heartbeat{}, fmt.Errorf("decode heartbeat: %w", err)
	}
	if h.Version != Version {
		return Heartbeat{}, fmt.Errorf("heartbeat has version %d, this hub knows %d: update the older of the two", h.Version, Version)
	}
	if h.Cluster != cluster {
		return Heartbeat{}, fmt.Errorf("heartbeat is of cluster %q, its subject of cluster %q", h.Cluster, cluster)
	}
	return h, nil
}

// zstdMagic begins whatever is compressed, and no JSON.
var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// inflate returns the JSON in message, which is compressed or not.
func inflate(message []byte) ([]byte, error) {
	if !bytes.HasPrefix(message, zstdMagic) {
		return message, nil
	}
	var frame zstd.Header
	if err := frame.Decode(message); err != nil {
		return nil, err
	}
	if !frame.HasFCS || frame.FrameContentSize > maxReport {
		return nil, fmt.Errorf("it does not say that it is at most %d bytes", maxReport)
	}
	return decompress(message, int(frame.FrameContentSize))
}
