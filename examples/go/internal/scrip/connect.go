// Package scrip connects to Scrip and reads its errors. It is made to be copied.
package scrip

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Connect opens a channel as the SCRIP_ variables of the environment say.
func Connect() (*grpc.ClientConn, error) {
	address := os.Getenv("SCRIP_ADDRESS")
	if address == "" {
		return nil, errors.New("SCRIP_ADDRESS is not set")
	}
	options, err := dialOptions()
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(address, options...)
}

func dialOptions() ([]grpc.DialOption, error) {
	caFile, tokenFile := os.Getenv("SCRIP_CA_FILE"), os.Getenv("SCRIP_TOKEN_FILE")
	certFile, keyFile := os.Getenv("SCRIP_CERT_FILE"), os.Getenv("SCRIP_KEY_FILE")
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
