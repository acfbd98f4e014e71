#!/bin/bash
# What the container `certs` runs: an authority of this cluster's own, in /authority, and a certificate for each volume that
# is mounted at /tls/ROLE/NAME (or /tls/ROLE+ROLE/NAME): ca.crt, tls.crt and tls.key, for the container that has it, alone.
#
#   (nothing)                makes what is missing, and renews what has a third of its days left or is of an older authority
#   --renew                  renews all
#   --new-ca                 a new authority, which all believe from now on beside the one before
#   --drop-old-ca            and no longer, once all have been renewed
#   issue ROLE/NAME[,HOST]   a certificate for somebody elsewhere, as a tar of those three files on standard output
#
# Processes read their files again within a second: nothing is started anew.
set -euo pipefail
readonly days="${BACKFIRE_CERTIFICATE_DAYS:-365}" user=10001:10001

certs() { /opt/backfire/bin/backfire-make-certs /authority --days "$days" "$@" >&2; }

# put FILE FOLDER NAME: at once, readable by those who run our programs, alone.
put() {
  cp -- "$1" "$2/$3.new"
  chmod 400 "$2/$3.new"
  chown "$user" "$2/$3.new"
  mv -- "$2/$3.new" "$2/$3"
}

is_due() {
  [[ -f /authority/$1.pem && -f /authority/$1.key ]] || return 0
  ! openssl x509 -in "/authority/$1.pem" -noout -checkend $((days * 86400 / 3)) >/dev/null ||
    ! openssl verify -CAfile /authority/ca-newest.pem "/authority/$1.pem" >/dev/null 2>&1
}

case "${1:-}" in
  issue)
    name="${2:?issue needs ROLE/NAME}"
    name="${name#*/}"
    name="${name%%,*}"
    # Its certificate would be overwritten, and with it what it may do.
    compgen -G "/tls/*/$name" >/dev/null && { printf 'certs: %s is a container of this cluster\n' "$name" >&2; exit 2; }
    certs "$2"
    folder="$(mktemp -d)"
    cp /authority/ca.pem "$folder/ca.crt"
    cp "/authority/$name.pem" "$folder/tls.crt"
    cp "/authority/$name.key" "$folder/tls.key"
    tar -C "$folder" -c ca.crt tls.crt tls.key
    exit
    ;;
  --new-ca | --drop-old-ca | --renew | '') ;;
  *) printf 'certs: takes --renew, --new-ca, --drop-old-ca or issue ROLE/NAME: got %s\n' "$1" >&2; exit 2 ;;
esac

shopt -s nullglob
folders=(/tls/*/*) due=()
for folder in "${folders[@]}"; do
  if [[ ${1:-} == --renew ]] || is_due "${folder##*/}"; then due+=("${folder#/tls/}"); fi
done
twice="$(printf '%s\n' "${folders[@]##*/}" | sort | uniq -d)"
[[ ! $twice ]] || { printf 'certs: two volumes are of the name %s\n' "$twice" >&2; exit 2; }
case "${1:-}" in
  # All certificates are of the authority before: everybody must have heard of the new one before the first of it is shown.
  --new-ca) certs --new-ca ;;
  --drop-old-ca)
    ((${#due[@]} == 0)) || { printf 'certs: of the authority before, or of none, are %s: renew them first\n' "${due[*]}" >&2; exit 1; }
    certs --drop-old-ca
    ;;
  *) ((${#due[@]} == 0)) || certs "${due[@]}" ;;
esac
for folder in "${folders[@]}"; do put /authority/ca.pem "$folder" ca.crt; done
for folder in "${folders[@]}"; do
  put "/authority/${folder##*/}.key" "$folder" tls.key
  put "/authority/${folder##*/}.pem" "$folder" tls.crt
done
