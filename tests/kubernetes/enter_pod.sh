#!/usr/bin/env bash
# Makes a pod's root file system in the mount namespace that it is started in, and waits in it: the machine's own programs and
# libraries, ours at /opt/backfire/bin as in the images, the pod's volumes, and nothing else that could be written to.
# Arguments: an empty folder, our programs, the hosts file, then `PATH FOLDER` of each volume. Prints `ready`.
set -euo pipefail
root="$1" programs="$2" hosts="$3"
shift 3
mount -t tmpfs pod "$root"
for path in /bin /dev /etc /lib /lib32 /lib64 /libx32 /proc /sbin /sys /usr; do
  if [[ -L $path ]]; then
    cp -P -- "$path" "$root$path"
  elif [[ -d $path ]]; then
    mkdir "$root$path"
    mount --rbind "$path" "$root$path"
  fi
done
mkdir -p "$root/opt/backfire/bin"
mount --bind "$programs" "$root/opt/backfire/bin"
mount --bind "$hosts" "$root/etc/hosts"
while (($#)); do
  mkdir -p "$root$1"
  mount --bind "$2" "$root$1"
  shift 2
done
mount -o remount,bind,ro "$root"
printf 'ready\n'
# Until it is killed; the namespaces are this process's.
exec sleep infinity
