#!/usr/bin/env bash
# `./dev certs`: an authority for development and a certificate for each process, renewed when it is run again.
set -euo pipefail

help() {
  cat <<'HELP'
Usage: ./dev certs DIR [--days N] [--new-ca | --drop-old-ca] [--revoke NAME]
                   [ROLE[+ROLE...]/NAME[,HOST...]...]

Makes an authority in DIR, if there is none (ca.pem, ca.key), and for each ROLE/NAME a certificate
NAME.pem with its key NAME.key. A certificate says who it is (spiffe://backfire/ROLE/NAME) and where
it is (NAME, each HOST, localhost). Without names: one for every certificate that DIR has, that is,
it renews them. Processes read them again within a second. Roles: client, model, gateway, viewer,
gate, orchestrator, operator. For development: the authority's key is a file.

Another authority takes three runs, in each of which all go on believing each other: --new-ca, one
without flags, --drop-old-ca; between them, files must reach all processes.

  --days N        how long certificates are valid (default: 30)
  --new-ca        a new authority: ca.pem has both, and certificates stay as they are
  --drop-old-ca   ca.pem has the newest authority alone, once all certificates are renewed
  --revoke NAME   puts NAME.pem on the revocation list in DIR/crl, for --tls-crl-dir

Example: ./dev certs certs orchestrator/orchestrator gateway/gateway model/car operator/ada
HELP
}
fail() {
  printf 'certs: %s\n' "$1" >&2
  exit "${2:-1}"
}

days=30 new_ca='' drop_old='' revoke='' directory='' wanted=()
while (($#)); do
  case "$1" in
    -h | --help) help; exit 0 ;;
    --days) days="${2:-}"; shift || fail '--days needs a number' 2 ;;
    --new-ca) new_ca=1 ;;
    --drop-old-ca) drop_old=1 ;;
    --revoke) revoke="${2:-}"; shift || fail '--revoke needs a name' 2 ;;
    -*) fail "unknown flag: $1" 2 ;;
    *) if [[ $directory ]]; then wanted+=("$1"); else directory="$1"; fi ;;
  esac
  shift || true
done
[[ $directory ]] || { help >&2; exit 2; }
[[ $days =~ ^-?[0-9]+$ ]] || fail "--days needs a number: got '$days'" 2
command -v openssl >/dev/null || fail 'openssl is missing: apt-get install openssl'
# What certificates have is said here, whatever this machine's own configuration says, or where there is none.
export OPENSSL_CONF=/dev/null
umask 077
mkdir -p "$directory"
cd "$directory"
log="$(mktemp)"
trap 'rm -f "$log" ./*.new ./*.request ./*.extensions' EXIT
# run WHAT COMMAND...: says what failed, and why.
run() {
  local what="$1"
  shift
  "$@" >"$log" 2>&1 || { cat "$log" >&2; fail "$what failed"; }
}

new_key() { run 'a key' openssl ecparam -name prime256v1 -genkey -noout -out "$1.new" && mv "$1.new" "$1"; }

make_ca() {
  new_key ca.key
  run 'the authority' openssl req -x509 -new -key ca.key -days 3650 -subj "/CN=Backfire development authority $(date +%s%N)" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -addext subjectKeyIdentifier=hash -out ca-newest.pem.new
  mv ca-newest.pem.new ca-newest.pem
  # The newest first; the others stay until they are dropped.
  cat ca-newest.pem $([[ ! -f ca.pem ]] || echo ca.pem) >ca.pem.new
  chmod 644 ca.pem.new
  mv ca.pem.new ca.pem
}

# make_certificate ROLES NAME HOSTS: separated by + and by commas. Keeps the key that there is, so that the file that
# changes is one.
make_certificate() {
  local roles="$1" name="$2" hosts="$3" alternatives=''
  local -a each
  IFS=+ read -ra each <<<"$roles"
  alternatives="$(printf "URI:spiffe://backfire/%s/$name, " "${each[@]}")"
  IFS=, read -ra each <<<"$name,$hosts"
  alternatives+="$(printf 'DNS:%s, ' "${each[@]}")"
  [[ -f $name.key ]] || new_key "$name.key"
  cat >"$name.extensions" <<EXTENSIONS
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = ${alternatives}DNS:localhost, IP:127.0.0.1, IP:::1
EXTENSIONS
  run "a request of $name" openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.request"
  run "a certificate of $name" openssl x509 -req -in "$name.request" -CA ca-newest.pem -CAkey ca.key \
    -set_serial "0x$(openssl rand -hex 15)" -days "$days" -extfile "$name.extensions" -out "$name.pem.new"
  chmod 644 "$name.pem.new"
  mv "$name.pem.new" "$name.pem"
  printf '%s\n' "$roles/$name, valid for $days days"
}

if [[ ! -f ca.pem || $new_ca ]]; then
  make_ca
fi
if [[ $new_ca ]] && ((${#wanted[@]} == 0)); then exit 0; fi
if [[ $drop_old ]]; then
  cp ca-newest.pem ca.pem.new
  chmod 644 ca.pem.new
  mv ca.pem.new ca.pem
fi
if [[ $revoke ]]; then
  [[ -f $revoke.pem ]] || fail "there is no $revoke.pem" 2
  mkdir -p crl
  touch index.txt
  [[ -f crlnumber ]] || echo 01 >crlnumber
  printf '[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\ncrlnumber = crlnumber\ndefault_md = sha256\ndefault_crl_days = 365\n' >crl.cnf
  run 'revoking' openssl ca -config crl.cnf -revoke "$revoke.pem" -keyfile ca.key -cert ca-newest.pem
  run 'the list' openssl ca -config crl.cnf -gencrl -keyfile ca.key -cert ca-newest.pem -out crl/backfire.pem
  run 'the list' openssl rehash crl
  printf '%s\n' "$revoke is revoked"
  exit 0
fi
if ((${#wanted[@]} == 0)); then
  for file in *.pem; do
    [[ $file == ca.pem || $file == ca-newest.pem ]] && continue
    names="$(openssl x509 -in "$file" -noout -ext subjectAltName)"
    roles="$(grep -o 'URI:spiffe://backfire/[^, ]*' <<<"$names" | cut -d/ -f4 | paste -sd+ || true)"
    [[ $roles ]] || continue
    hosts="$(grep -o 'DNS:[^, ]*' <<<"$names" | cut -d: -f2 | grep -vx -e localhost -e "${file%.pem}" | paste -sd, || true)"
    wanted+=("$roles/${file%.pem}${hosts:+,$hosts}")
  done
fi
readonly role='(client|model|gateway|viewer|gate|orchestrator|operator)' host='[A-Za-z0-9*][A-Za-z0-9.-]*'
for one in "${wanted[@]}"; do
  roles="${one%%/*}" name="${one#*/}"
  hosts="${name#*,}" name="${name%%,*}"
  [[ $hosts != "$name" ]] || hosts=''
  [[ $roles =~ ^$role(\+$role)*$ && $name =~ ^[A-Za-z0-9][A-Za-z0-9.-]*$ && $hosts =~ ^($host(,$host)*)?$ && ! $name =~ ^ca(-newest)?$ ]] ||
    fail "must be ROLE/NAME, or ROLE+ROLE/NAME,HOST, of roles that there are: got '$one'" 2
  make_certificate "$roles" "$name" "$hosts"
done
