package fix

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// The roles of a session.
const (
	Initiator = "initiator" // we connect
	Acceptor  = "acceptor"  // the counterparty connects
)

// Config describes one live session: a drop copy, or any session on which the
// counterparty sends what is to be recorded. We send nothing but session messages.
type Config struct {
	// Name is the source of the events, and names the file of sequence numbers:
	// lower-case letters, digits and hyphens.
	Name string `yaml:"name"`
	// Role is initiator or acceptor.
	Role string `yaml:"role"`
	// Host and Port are where we connect to, or listen. An acceptor listens beyond
	// loopback only with a password or with client certificates.
	Host string `yaml:"host"`
	Port int    `yaml:"port"`
	// BeginString is FIX.4.2, FIX.4.4 or FIXT.1.1.
	BeginString string `yaml:"begin_string"`
	// SenderCompID is ours, TargetCompID the counterparty's.
	SenderCompID string `yaml:"sender_comp_id"`
	TargetCompID string `yaml:"target_comp_id"`
	// DefaultApplVerID goes into the logon of FIXT.1.1; 9 (5.0SP2) if empty.
	DefaultApplVerID string `yaml:"default_appl_ver_id"`
	// Heartbeat is in seconds; 30 if 0. An acceptor takes the initiator's.
	Heartbeat int `yaml:"heartbeat"`
	// ResetOnLogon asks for sequence numbers that begin at 1 with each connection.
	// What was sent in between is lost then: it is off unless the counterparty
	// insists.
	ResetOnLogon bool `yaml:"reset_on_logon"`
	// Username is sent with our logon, or demanded of the initiator's. The password
	// is Password, which files of sources take from the environment, or the content of
	// PasswordFile.
	Username     string `yaml:"username"`
	Password     string `yaml:"password"`
	PasswordFile string `yaml:"password_file"`
	// OrderPrefix stands before every ClOrdID in order ids: for a counterparty whose
	// ClOrdIDs mean other orders than ours.
	OrderPrefix string `yaml:"order_prefix"`
	// TLS is off when nil.
	TLS *TLS `yaml:"tls"`
}

// TLS says how a connection is encrypted. An acceptor needs a certificate; with
// CAFile it demands one of the initiator. An initiator trusts CAFile, or the
// system's authorities without it.
type TLS struct {
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	CAFile     string `yaml:"ca_file"`
	ServerName string `yaml:"server_name"` // host, if empty
}

const (
	defaultHeartbeat = 30
	maxHeartbeat     = 3600
)

// Validate reports everything that is wrong, by the names of the fields.
func (c *Config) Validate() error {
	var problems []error
	bad := func(field, format string, args ...any) {
		problems = append(problems, domain.Rejectf(domain.CodeInvalid, field, format, args...))
	}
	if c.Name == "" || strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		bad("name", "%.80q: needs lower-case letters, digits and hyphens", c.Name)
	}
	if c.Role != Initiator && c.Role != Acceptor {
		bad("role", "%.80q is neither %s nor %s", c.Role, Initiator, Acceptor)
	}
	if c.Host == "" {
		bad("host", "missing")
	}
	if c.Port < 0 || c.Port > 65535 || c.Port == 0 && c.Role == Initiator {
		bad("port", "%d is no port", c.Port)
	}
	switch c.BeginString {
	case "FIX.4.2", "FIX.4.3", "FIX.4.4", "FIXT.1.1":
	default:
		bad("begin_string", "%.80q is none of FIX.4.2, FIX.4.3, FIX.4.4 and FIXT.1.1", c.BeginString)
	}
	for field, id := range map[string]string{"sender_comp_id": c.SenderCompID, "target_comp_id": c.TargetCompID, "default_appl_ver_id": "9" + c.DefaultApplVerID, "username": "u" + c.Username} {
		if id == "" || len(id) > 64 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || r == bar }) {
			bad(field, "%.80q: needs 1 to 64 letters of ASCII, without blanks and bars", id)
		}
	}
	if c.Heartbeat < 0 || c.Heartbeat > maxHeartbeat {
		bad("heartbeat", "%d is not from 1 to %d seconds", c.Heartbeat, maxHeartbeat)
	}
	if c.PasswordFile != "" && c.Password != "" {
		bad("password_file", "stands beside password: one of the two counts")
	}
	if c.Role == Acceptor && !c.guarded() && !loopback(c.Host) {
		bad("host", "%.80q is beyond loopback: set a password, or tls with ca_file", c.Host)
	}
	if c.Role == Acceptor && c.TLS != nil && c.TLS.CertFile == "" {
		bad("tls.cert_file", "missing: an acceptor needs a certificate")
	}
	return errors.Join(problems...)
}

func (c *Config) guarded() bool {
	return c.PasswordFile != "" || c.Password != "" || c.TLS != nil && c.TLS.CAFile != ""
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *Config) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

func (c *Config) heartbeat() time.Duration {
	if c.Heartbeat == 0 {
		return defaultHeartbeat * time.Second
	}
	return time.Duration(c.Heartbeat) * time.Second
}

func (c *Config) applVerID() string {
	if c.DefaultApplVerID == "" {
		return "9"
	}
	return c.DefaultApplVerID
}

// password reads the password where the configuration says.
func (c *Config) password() (string, error) {
	password := c.Password
	if c.PasswordFile != "" {
		text, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("reading the password of %s: %w", c.Name, err)
		}
		if password = strings.TrimRight(string(text), "\r\n"); password == "" {
			return "", domain.Rejectf(domain.CodeInvalid, "password_file", "the password of %s is empty", c.Name)
		}
	}
	if strings.ContainsRune(password, soh) {
		return "", domain.Rejectf(domain.CodeInvalid, "password", "the password of %s has a separator in it", c.Name)
	}
	return password, nil
}

// tls makes the settings of a connection; nil without TLS.
func (c *Config) tls() (*tls.Config, error) {
	if c.TLS == nil {
		return nil, nil //nolint:nilnil // no TLS is a setting too
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.TLS.ServerName}
	if t.ServerName == "" {
		t.ServerName = c.Host
	}
	if c.TLS.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.TLS.CertFile, c.TLS.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate of %s: %w", c.Name, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	if c.TLS.CAFile != "" {
		text, err := os.ReadFile(c.TLS.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the authorities of %s: %w", c.Name, err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, domain.Rejectf(domain.CodeInvalid, "tls.ca_file", "no certificate in it")
		}
		t.RootCAs, t.ClientCAs = pool, pool
		t.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return t, nil
}
