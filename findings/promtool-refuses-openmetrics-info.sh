#!/usr/bin/env bash
# promtool check metrics (Debian prometheus 2.42.0+ds-5+deb12u1) reads the classic text format alone. It refuses valid
# OpenMetrics: an `info` family is a parsing error, and a counter without one is linted as if `_total` were part of its name.
# Prometheus itself, of the same version, scrapes both. So a program that answers OpenMetrics to everybody cannot be checked.
#
# Seen:
#   error while linting: text format parsing error in line 1: unknown metric type "info"      (exit 1)
#   req_total no help text                                                                    (exit 3)
set -uo pipefail
package=prometheus=2.42.0+ds-5+deb12u1

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 2
apt-get download -qq "$package" >/dev/null 2>&1 && dpkg -x prometheus_*.deb . || { echo "cannot fetch $package" >&2; exit 2; }

info=$(printf '# TYPE app info\napp_info{version="1"} 1\n# EOF\n' | usr/bin/promtool check metrics 2>&1)
info_status=$?
counter=$(printf '# HELP req Requests.\n# TYPE req counter\nreq_total 1\n# EOF\n' | usr/bin/promtool check metrics 2>&1)
counter_status=$?
printf '%s (exit %s)\n%s (exit %s)\n' "$info" $info_status "$counter" $counter_status
[[ $info == *'unknown metric type "info"'* && $info_status == 1 && $counter == *'req_total no help text'* && $counter_status == 3 ]]
