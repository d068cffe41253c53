#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Completes command lines with tools/completion/ukaictl.bash and a ukaictl that answers from here.
# completion_test.sh SCRIPT             checks the completions below
# completion_test.sh SCRIPT --commands  prints every command that completion knows, one a line
set -u
# shellcheck source=/dev/null
source "$1"

# shellcheck disable=SC2317  # the completion calls it
ukaictl() {
  case "$*" in
    *"--timeout 1 ls") printf '%s\n' vm-1 vm-2 other ;;
    *"--timeout 1 node list") printf '%s\n' "NODE  STATE" "n1    up" "n2    down" ;;
    *"--timeout 1 job list") printf '%s\n' "JOB  DISK" "1f-1 vm-1" ;;
    *"--timeout 1 host list") printf '%s\n' "HOST  SITE" "h1    -" ;;
    *) echo "unexpected: $*" >&2 ;;
  esac
}

# complete_line WORD… : the last one is being typed; prints what it may become.
complete_line() {
  COMP_WORDS=(ukaictl "$@")
  COMP_CWORD=$#
  COMPREPLY=()
  _ukaictl
  echo "${COMPREPLY[*]}"
}

if [[ ${2:-} == --commands ]]; then
  for word in $(complete_line ""); do
    case $word in
      disk | snapshot | location | node | host | lease | metadata | job)
        for sub in $(complete_line "$word" ""); do echo "$word $sub"; done ;;
      *) echo "$word" ;;
    esac
  done
  exit 0
fi

failed=0
expect() {  # expect "completions" WORD…
  local wanted=$1 got
  shift
  got=$(complete_line "$@" 2>&1)
  [[ $got == "$wanted" ]] && return
  echo "ukaictl $*: wanted '$wanted', got '$got'"
  failed=1
}

expect "disk diag destroy_image" d
expect "create" disk c
expect "vm-1 vm-2 other" disk info ""
expect "vm-1 vm-2" disk delete --if-exists vm
expect "create" snapshot c
expect "vm-1 vm-2" snapshot rollback vm
expect "raw" disk export --format r
expect "vm-1 vm-2" disk export --format raw vm
expect "vm-1 vm-2" -o json disk map vm
expect "vm-1 vm-2 other" rm ""
expect "" disk rename vm-1 ""
expect "" disk create ""
expect "" disk list ""
expect "--size" disk create vm-9 --si
expect "n1 n2" disk create vm-9 --location ""
expect "n1,n1 n1,n2" disk create vm-9 --location n1,
expect "n1 n2" node info ""
expect "h1" disk hosts vm-1 --allow ""
expect "h1" add_hypervisor vm-1 ""
expect "table json" -o ""
expect "--force" lease release vm-1 --f
expect "vm-1 vm-2" events --disk vm
expect "n1 n2" disk recover vm-1 --from ""
expect "n1 n2" node remove ""
expect "--lost" node remove n1 --l
expect "n1 n2" location add vm-1 ""
expect "vm-1 vm-2" relocate vm-1 vm
expect "n1,n1 n1,n2" replicate vm-1 --to n1,
expect "--detach" relocate vm-1 --from n1 --to n2 --det
expect "n1 n2" node drain ""
expect "1f-1" job cancel ""
expect "1f-1" job wait 1f-1 ""
expect "1f-1" job cancel 1f-1 ""
expect "--apply" metadata rebuild --ap
expect "" metadata rebuild ""
expect "vm-1 vm-2 other" --metadata zk:2181/x sync ""
exit $failed
