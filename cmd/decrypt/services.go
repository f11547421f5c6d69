package main

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/getsops/sops/v3/keyservice"
)

// environment is what the clients of key services may be told, and which service each
// word switches on: a document cannot make the cluster call a service that nobody has
// given it credentials for.
var environment = map[string]service{
	"AWS_ACCESS_KEY_ID": aws, "AWS_SECRET_ACCESS_KEY": aws, "AWS_SESSION_TOKEN": aws,
	"AWS_REGION": aws, "AWS_ROLE_ARN": aws, "AWS_WEB_IDENTITY_TOKEN_FILE": aws, "AWS_ENDPOINT_URL_KMS": aws, "AWS_ENDPOINT_URL_STS": aws,
	"GOOGLE_CREDENTIALS": gcp, "GOOGLE_OAUTH_ACCESS_TOKEN": gcp, "GOOGLE_APPLICATION_CREDENTIALS": gcp,
	"AZURE_TENANT_ID": azure, "AZURE_CLIENT_ID": azure, "AZURE_CLIENT_SECRET": azure,
	"AZURE_FEDERATED_TOKEN_FILE": azure, "AZURE_AUTHORITY_HOST": azure,
	"VAULT_ADDR": vault, "VAULT_TOKEN": vault, "VAULT_NAMESPACE": vault,
	"HUAWEICLOUD_SDK_AK": huawei, "HUAWEICLOUD_SDK_SK": huawei, "HUAWEICLOUD_SDK_PROJECT_ID": huawei,
}

type service int

const (
	aws service = iota
	gcp
	azure
	vault
	huawei
)

// services are those that may be called.
type services struct {
	on    map[service]bool
	vault string // the only address of a Vault that may be called
}

func servicesOf(get func(string) string) services {
	s := services{on: map[service]bool{}, vault: strings.TrimSuffix(get("VAULT_ADDR"), "/")}
	for name, switches := range environment {
		if get(name) != "" {
			s.on[switches] = true
		}
	}
	return s
}

var (
	awsKey      = regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+$`)
	gcpKey      = regexp.MustCompile(`^projects/[a-z0-9.:-]+/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]+/cryptoKeys/[A-Za-z0-9_-]+$`)
	azureVault  = regexp.MustCompile(`^[a-zA-Z0-9-]+\.(vault\.azure\.net|vault\.azure\.cn|vault\.usgovcloudapi\.net|managedhsm\.azure\.net)$`)
	huaweiKey   = regexp.MustCompile(`^[a-z0-9-]+:[a-z0-9-]+$`)
	vaultEngine = regexp.MustCompile(`^[A-Za-z0-9/_-]+$`)
)

// may tells whether a key may be asked for: of a service that is on, at an address that
// can only be that service's. Documents are written by whoever can push.
func (s services) may(key *keyservice.Key) bool {
	switch {
	case key.GetKmsKey() != nil:
		k := key.GetKmsKey()
		return s.on[aws] && awsKey.MatchString(k.Arn) && k.AwsProfile == "" // profiles can name programs to run
	case key.GetGcpKmsKey() != nil:
		return s.on[gcp] && gcpKey.MatchString(key.GetGcpKmsKey().ResourceId)
	case key.GetAzureKeyvaultKey() != nil:
		at, err := url.Parse(key.GetAzureKeyvaultKey().VaultUrl)
		return s.on[azure] && err == nil && at.Scheme == "https" && at.Port() == "" && at.User == nil && azureVault.MatchString(at.Hostname())
	case key.GetVaultKey() != nil:
		k := key.GetVaultKey()
		return s.on[vault] && s.vault != "" && strings.TrimSuffix(k.VaultAddress, "/") == s.vault &&
			vaultEngine.MatchString(k.EnginePath) && vaultEngine.MatchString(k.KeyName)
	case key.GetHckmsKey() != nil:
		return s.on[huawei] && huaweiKey.MatchString(key.GetHckmsKey().KeyId)
	}
	return false // PGP would need a program of its own and a folder of keys
}
