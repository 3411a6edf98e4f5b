// Package scrip connects to Scrip, reads its errors and follows its histories. It is made to be copied.
package scrip

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// Settings say where the service is, and who calls.
type Settings struct {
	Address   string
	CAFile    string // The CA of the service. Empty: plain text.
	CertFile  string // A certificate that names the caller, and its key.
	KeyFile   string
	TokenFile string // A bearer token that names the caller.
}

// SettingsFromEnvironment reads the SCRIP_ variables.
func SettingsFromEnvironment() Settings {
	return Settings{
		Address:   os.Getenv("SCRIP_ADDRESS"),
		CAFile:    os.Getenv("SCRIP_CA_FILE"),
		CertFile:  os.Getenv("SCRIP_CERT_FILE"),
		KeyFile:   os.Getenv("SCRIP_KEY_FILE"),
		TokenFile: os.Getenv("SCRIP_TOKEN_FILE"),
	}
}

// A stream has no deadline, and is resumed by History.
const serviceConfig = `{
  "loadBalancingConfig": [{ "round_robin": {} }],
  "methodConfig": [
    {
      "name": [{}],
      "timeout": "10s",
      "retryPolicy": {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
      }
    },
    {
      "name": [
        { "service": "billing.v1.BillingService", "method": "StreamHistory" },
        { "service": "billing.v1.EventService", "method": "StreamEvents" }
      ]
    }
  ],
  "retryThrottling": { "maxTokens": 100, "tokenRatio": 0.1 }
}`

// Connection is a channel, and the clock of the service at its other end.
type Connection struct {
	*grpc.ClientConn
	Clock *Clock
}

// Connect opens a channel. It connects with the first call.
func Connect(settings Settings) (*Connection, error) {
	if settings.Address == "" {
		return nil, errors.New("SCRIP_ADDRESS is not set")
	}
	options, err := settings.credentials()
	if err != nil {
		return nil, err
	}
	clock := &Clock{}
	options = append(options,
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time:    10 * time.Second,
			Timeout: 5 * time.Second,
		}),
		grpc.WithUnaryInterceptor(clock.learn),
	)
	channel, err := grpc.NewClient(settings.Address, options...)
	if err != nil {
		return nil, err
	}
	return &Connection{channel, clock}, nil
}

func (settings Settings) credentials() ([]grpc.DialOption, error) {
	caFile, tokenFile := settings.CAFile, settings.TokenFile
	certFile, keyFile := settings.CertFile, settings.KeyFile
	if (certFile == "") != (keyFile == "") {
		return nil, errors.New("SCRIP_CERT_FILE and SCRIP_KEY_FILE are needed together")
	}
	if caFile == "" {
		if certFile != "" || tokenFile != "" {
			return nil, errors.New("a certificate or token needs SCRIP_CA_FILE")
		}
		return []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, nil
	}
	config, err := tlsConfig(caFile, certFile, keyFile)
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(config))}
	if tokenFile != "" {
		options = append(options, grpc.WithPerRPCCredentials(tokenIn(tokenFile)))
	}
	return options, nil
}

func tlsConfig(caFile, certFile, keyFile string) (*tls.Config, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", caFile)
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
	if certFile != "" {
		// Each new connection shows what the files hold then, so that they can be rotated.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
			return &certificate, err
		}
	}
	return config, nil
}

// tokenIn is the name of a file with a bearer token. It is read for each call: Kubernetes renews it.
type tokenIn string

func (file tokenIn) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := os.ReadFile(string(file))
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + strings.TrimSpace(string(token))}, nil
}

func (tokenIn) RequireTransportSecurity() bool { return true }
