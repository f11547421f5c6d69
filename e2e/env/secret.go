package env

import "maps"

// SecretFiles returns the content of every Secret in a manifest, as a kubelet would
// mount it.
func SecretFiles(manifest []byte) (map[string][]byte, error) {
	objects, err := decode(manifest)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, object := range objects {
		if object.GetKind() != "Secret" {
			continue
		}
		files, err := secretFiles(object)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, files)
	}
	return all, nil
}
