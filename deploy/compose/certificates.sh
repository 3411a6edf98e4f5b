#!/bin/sh
# Makes what compose.yaml needs in ./certificates: a CA, the certificate of the service, and those of the callers admin
# and product. For trials: the keys can be read by everyone on this machine, the user of the containers included.
set -eu
cd "$(dirname "$0")"
mkdir -p certificates
cd certificates
[ -e ca.pem ] && { echo "certificates/ca.pem exists: nothing to do"; exit 0; }

key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc"
# shellcheck disable=SC2086 # options
openssl req -x509 $key -keyout ca.key -out ca.pem -days 365 -subj "/CN=scrip trial CA" \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null

# sign <name> <extensions>: a certificate with this common name
sign() {
  # shellcheck disable=SC2086 # options
  openssl req -x509 $key -CA ca.pem -CAkey ca.key -keyout "$1.key" -out "$1.pem" -days 365 -subj "/CN=$1" \
    -addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature \
    -addext "$2" ${3:+-addext "$3"} 2>/dev/null
}
sign service extendedKeyUsage=serverAuth subjectAltName=DNS:scrip,DNS:localhost
sign admin extendedKeyUsage=clientAuth
sign product extendedKeyUsage=clientAuth
rm ca.key
chmod 644 ./*.key
echo "certificates/ has ca.pem, and the certificates and keys of service, admin and product"
