package broker

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/tradetrail/tradetrail/domain"
)

// TLS says how a connection is encrypted. The zero value trusts the authorities
// of the system.
type TLS struct {
	CA         string `yaml:"ca"`          // file of certificates to trust instead of the system's
	Cert       string `yaml:"cert"`        // file of the client's own certificate, with Key
	Key        string `yaml:"key"`         // file of its key
	ServerName string `yaml:"server_name"` // if the certificate names another host than the address
}

// Config reads the files. It is nil for nil: no TLS.
func (t *TLS) Config() (*tls.Config, error) {
	if t == nil {
		return nil, nil //nolint:nilnil // no TLS is what the clients call nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("reading the certificates to trust: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, domain.Rejectf(domain.CodeInvalid, "tls.ca", "%s has no certificate", t.CA)
		}
	}
	if (t.Cert == "") != (t.Key == "") {
		return nil, domain.Rejectf(domain.CodeMissing, "tls.key", "cert and key belong together")
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("reading the client's certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
