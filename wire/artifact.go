package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/navarch/navarch/fleet"
)

// The limits of an artifact.
const (
	MaxArtifact = 64 << 20 // bytes of content
	// chunkSize is bytes of one chunk before it is sealed. It is small because a server
	// holds in memory what it was asked for and what is not read: who asks for a chunk
	// says a hundred bytes.
	chunkSize = 64 << 10
)

// ErrCorrupt means that chunks do not give the content that their digest names.
var ErrCorrupt = errors.New("the artifact is not what its digest says")

// Address is where an artifact is kept. It follows from the digest of the content,
// and the digest does not follow from it.
type Address string

// AddressOf returns the address of the content with digest d.
func AddressOf(d fleet.Digest) Address {
	sum := sha256.Sum256([]byte("navarch artifact address v2\x00" + d))
	return Address(hex.EncodeToString(sum[:]))
}

// PackArtifact returns content as the chunks that travel, in their order: it is
// compressed, cut, and sealed so that only who knows its digest can read it. NATS
// lets an agent ask for the last artifact of any address, and the index of another
// cluster would name all that it runs; what the agent then gets is of no use.
//
// Equal contents give equal chunks, with the same version of the compressor.
func PackArtifact(content []byte) (fleet.Digest, [][]byte, error) {
	digest := fleet.DigestOf(content)
	if len(content) > MaxArtifact {
		return digest, nil, fmt.Errorf("content is %d bytes, an artifact holds %d: split the app", len(content), MaxArtifact)
	}
	packed := compressor.EncodeAll(content, make([]byte, headerSize))
	count := (len(packed) + chunkSize - 1) / chunkSize
	copy(packed, header{chunks: count, size: len(content)}.bytes())
	seal := sealerFor(digest)
	chunks := make([][]byte, count)
	for i := range chunks {
		chunks[i] = seal.seal(i, packed[i*chunkSize:min((i+1)*chunkSize, len(packed))])
	}
	return digest, chunks, nil
}

// CountChunks returns how many chunks the artifact has whose first chunk is given.
func CountChunks(d fleet.Digest, first []byte) (int, error) {
	opened, err := sealerFor(d).open(nil, 0, first)
	if err != nil {
		return 0, err
	}
	h, _, err := parseHeader(opened)
	return h.chunks, err
}

// UnpackArtifact is the inverse of [PackArtifact]. Whatever the chunks hold, it
// takes no more memory than they and their content may, and it returns either the
// content with digest d or an error, which is [ErrCorrupt] inside.
func UnpackArtifact(d fleet.Digest, chunks [][]byte) ([]byte, error) {
	seal := sealerFor(d)
	size := 0
	for _, chunk := range chunks {
		size += len(chunk)
	}
	packed := make([]byte, 0, size)
	for i, chunk := range chunks {
		var err error
		if packed, err = seal.open(packed, i, chunk); err != nil {
			return nil, err
		}
	}
	h, compressed, err := parseHeader(packed)
	if err != nil {
		return nil, err
	}
	if h.chunks != len(chunks) {
		return nil, fmt.Errorf("%w: %d chunks of %d", ErrCorrupt, len(chunks), h.chunks)
	}
	content, err := decompress(compressed, h.size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if fleet.DigestOf(content) != d {
		return nil, fmt.Errorf("%w: its content has another", ErrCorrupt)
	}
	return content, nil
}

// header begins a packed artifact: a version, the number of chunks, the size of
// the content.
type header struct {
	chunks, size int
}

const (
	headerVersion = 2
	headerSize    = 7
)

func (h header) bytes() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16([]byte{headerVersion}, uint16(h.chunks)), uint32(h.size))
}

func parseHeader(packed []byte) (header, []byte, error) {
	if len(packed) < headerSize {
		return header{}, nil, fmt.Errorf("%w: it has no header", ErrCorrupt)
	}
	if packed[0] != headerVersion {
		return header{}, nil, fmt.Errorf("%w: its form has version %d, this agent knows %d: update the agent", ErrCorrupt, packed[0], headerVersion)
	}
	h := header{chunks: int(binary.BigEndian.Uint16(packed[1:])), size: int(binary.BigEndian.Uint32(packed[3:]))}
	// What does not compress grows by a little.
	if h.size > MaxArtifact || h.chunks == 0 || h.chunks > h.size/chunkSize+2 {
		return header{}, nil, fmt.Errorf("%w: %d chunks with %d bytes", ErrCorrupt, h.chunks, h.size)
	}
	return h, packed[headerSize:], nil
}

// sealer encrypts the chunks of one content under keys that follow from its
// digest. The nonce follows from the chunk, so that no two chunks share one, also
// when another version of the compressor packs the same content differently.
type sealer struct {
	aead     cipher.AEAD
	nonceKey []byte
}

func sealerFor(d fleet.Digest) sealer {
	keys, err := hkdf.Key(sha256.New, []byte(d), nil, "navarch artifact keys v2", 64)
	if err != nil {
		panic("derive 64 bytes with SHA-256: " + err.Error()) // only for lengths that are out of bounds
	}
	block, err := aes.NewCipher(keys[:32])
	if err != nil {
		panic("AES with a key of 32 bytes: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("GCM over AES: " + err.Error())
	}
	return sealer{aead: aead, nonceKey: keys[32:]}
}

func (s sealer) seal(chunk int, plain []byte) []byte {
	position := position(chunk)
	mac := hmac.New(sha256.New, s.nonceKey)
	mac.Write(position)
	mac.Write(plain)
	nonce := mac.Sum(nil)[:s.aead.NonceSize()]
	sealed := make([]byte, len(nonce), len(nonce)+len(plain)+s.aead.Overhead())
	copy(sealed, nonce)
	return s.aead.Seal(sealed, nonce, plain, position)
}

// position is a chunk's place, which is sealed with it.
func position(chunk int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(chunk)) }

// open appends what a chunk holds to what those before it held.
func (s sealer) open(before []byte, chunk int, sealed []byte) ([]byte, error) {
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return nil, fmt.Errorf("%w: chunk %d is cut off", ErrCorrupt, chunk)
	}
	if len(sealed) > n+chunkSize+s.aead.Overhead() {
		return nil, fmt.Errorf("%w: chunk %d is longer than any", ErrCorrupt, chunk)
	}
	plain, err := s.aead.Open(before, sealed[:n], sealed[n:], position(chunk))
	if err != nil {
		return nil, fmt.Errorf("%w: chunk %d does not open with it", ErrCorrupt, chunk)
	}
	return plain, nil
}

// compressor and decompressor are shared: both are for any number of goroutines
// and start none.
var (
	compressor   = newCompressor()
	decompressor = newDecompressor()
)

func newCompressor() *zstd.Encoder {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic("zstd with constant options: " + err.Error())
	}
	return encoder
}

func newDecompressor() *zstd.Decoder {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxArtifact), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic("zstd with constant options: " + err.Error())
	}
	return decoder
}

// decompress returns the content of compressed, which must be of exactly the
// given size. What says that it is small and is not, stops at that size.
func decompress(compressed []byte, size int) ([]byte, error) {
	content, err := decompressor.DecodeAll(compressed, make([]byte, 0, size))
	if err != nil {
		return nil, fmt.Errorf("decompress %d bytes: %w", size, err)
	}
	if len(content) != size {
		return nil, fmt.Errorf("decompress %d bytes: there are %d", size, len(content))
	}
	return content, nil
}
