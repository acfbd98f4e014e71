#!/bin/sh
# Runs a compiler by way of a cache. A header that was precompiled before goes first: ccache would take it, and not the
# headers, for what the new one is made of, and give what another folder made of the same old one.
for argument; do
  case $argument in
    *.gch) rm -f -- "$argument" ;;
  esac
done
exec "$@"
