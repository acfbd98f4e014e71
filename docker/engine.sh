# A container engine to work with: the one that is there, or one of our own. Sourced, after ../dev, whose say, fail and
# install_packages it uses.

# pause: a moment, for loops that wait.
exec {engine_never}<> <(:)
pause() { read -rt 0.1 -u "$engine_never" || true; }

# wait_for SECONDS COMMAND...: runs it again and again until it succeeds.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || return 1
    pause
  done
}

# The client: Debian's builds images by itself, where a newer one in front of it in PATH may lack its plugin for that.
docker() {
  if [[ -x /usr/bin/docker ]]; then /usr/bin/docker "$@"; else command docker "$@"; fi
}

has_client() { [[ -x /usr/bin/docker ]] || command -v docker >/dev/null; }

# compose ARGUMENT...: version 2 if it is there, else Debian's.
compose() {
  if docker compose version >/dev/null 2>&1; then
    docker compose "$@"
  else
    docker-compose "$@"
  fi
}
has_compose() { docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null; }

# own_engine FOLDER: where an engine of ours has what; its socket's path must be short.
own_engine() {
  engine_folder="$1"
  engine_run="${BACKFIRE_ENGINE_RUN:-/run/backfire-$(cksum <<<"$1" | cut -d' ' -f1)}"
}

# use_engine FOLDER: finds an engine and has DOCKER_HOST name it; starts one with its files in FOLDER if there is none,
# which takes root on Debian.
use_engine() {
  own_engine "$1"
  if has_client && docker info >/dev/null 2>&1; then
    has_compose || install_packages docker-compose || return
    return 0
  fi
  export DOCKER_HOST="unix://$engine_run/docker.sock"
  if has_client && docker info >/dev/null 2>&1; then return 0; fi
  start_engine
}

start_engine() {
  if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    fail "no container engine answers, and only root on Debian can start one here: start yours, or name it in DOCKER_HOST"
    return
  fi
  # Two engines in one network namespace break each other: the second takes the first one's bridge away.
  if pgrep -x dockerd >/dev/null; then
    fail 'an engine runs that does not answer here: name it in DOCKER_HOST, or end it'
    return
  fi
  install_packages docker.io docker-compose iptables debootstrap || return
  if pgrep -x dockerd >/dev/null; then  # Installing it may have started it.
    unset DOCKER_HOST
    wait_for 30 docker info || fail 'the engine that was installed does not answer'
    return
  fi
  mkdir -p "$engine_folder" "$engine_run"
  say "starting a container engine of our own: $engine_folder"
  # In a session of its own: it outlives this script, and Ctrl-C.
  setsid dockerd --data-root "$engine_folder/data" --exec-root "$engine_run/exec" \
    -H "$DOCKER_HOST" --pidfile "$engine_run/pid" >"$engine_folder/log" 2>&1 </dev/null &
  local pid=$!
  answers_or_ended() { docker info >/dev/null 2>&1 || ! kill -0 "$pid" 2>/dev/null; }
  wait_for 60 answers_or_ended || true
  docker info >/dev/null 2>&1 && return
  tail -n 5 "$engine_folder/log" >&2
  fail 'the container engine did not start'
}

# Ends an engine of ours, if it runs, and what runs in it.
stop_engine() {
  local pid
  pid="$(cat "$engine_run/pid" 2>/dev/null)" || return 0
  kill -TERM "$pid" 2>/dev/null || return 0
  say 'ending our container engine'
  has_ended() { ! kill -0 "$pid" 2>/dev/null; }
  wait_for 60 has_ended || fail "the engine (process $pid) does not end"
}

# The image that ours start from: pulled where a registry can be reached, else made of Debian's packages as apt of this
# machine gets them.
use_base_image() {
  local image="$1"
  docker image inspect "$image" >/dev/null 2>&1 && return
  say "getting $image"
  timeout 60 docker pull -q "$image" >/dev/null 2>&1 && return
  say 'no registry answers: making it of packages'
  install_packages debootstrap || return
  local root="$engine_folder/rootfs" release mirror
  release="${image##*:}"
  release="${release%-slim}"
  mirror="$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' |
    awk -v release="$release" '$2 == release { print $1; exit }')"
  [[ $mirror ]] || { fail "apt of this machine has no packages of $release"; return; }
  rm -rf -- "$root"
  debootstrap --variant=minbase --include=ca-certificates "$release" "$root" "$mirror" \
    >"$engine_folder/debootstrap.log" 2>&1 ||
    { tail -n 5 "$engine_folder/debootstrap.log" >&2; fail 'debootstrap failed'; return; }
  # So that apt in a build gets packages as it does outside.
  cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
  rm -f "$root/etc/apt/sources.list"
  [[ ! -e /etc/apt/sources.list ]] || cp -a /etc/apt/sources.list "$root/etc/apt/"
  [[ ! -d /etc/apt/sources.list.d ]] || cp -a /etc/apt/sources.list.d/. "$root/etc/apt/sources.list.d/"
  rm -rf -- "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  tar -C "$root" --numeric-owner --exclude='./dev/*' -c . |
    docker import -c 'CMD ["bash"]' - "$image" >/dev/null || return
  rm -rf -- "$root"
}
