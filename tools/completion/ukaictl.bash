# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2207
#
# Completion of ukaictl for bash: put it into /usr/share/bash-completion/completions/ukaictl, or source it.
# Commands and options are static (tests/unit/ctl/completion_test.cpp keeps them equal to ukaictl's own);
# names of disks, nodes and hosts are asked of the cluster, which must answer within a second.

_ukaictl_ask() {
  local -a globals=()
  local i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in
      --metadata | --config) globals+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}") ;;
    esac
  done
  "${COMP_WORDS[0]}" "${globals[@]}" --timeout 1 "$@" 2>/dev/null
}

_ukaictl_disks() { _ukaictl_ask ls; }
_ukaictl_nodes() { _ukaictl_ask node list | awk 'NR > 1 { print $1 }'; }
_ukaictl_jobs() { _ukaictl_ask job list | awk 'NR > 1 { print $1 }'; }
_ukaictl_hosts() { _ukaictl_ask host list | awk 'NR > 1 { print $1 }'; }

# Finds the command that has been typed ("disk create"), and how many words without a dash follow it.
_ukaictl_command() {
  local i word
  command="" positionals=0
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    case $word in
      --config | --metadata | --timeout | -o | --output | --size | --block-size | --location | \
        --replicas | --meta | --allow | --deny | --blocks | --disk | --limit | --from | --to | --rate | --cluster | --format | --host | --mount | -s | -b | -l | -e)
        ((++i))
        continue
        ;;
      -h)
        case $command in create_image | touch) ((++i)) ;; esac
        continue
        ;;
      -*) continue ;;
    esac
    if [[ -z $command ]]; then
      command=$word
    elif [[ $command == disk || $command == node || $command == host || $command == lease ||
      $command == metadata || $command == location || $command == job || $command == snapshot ]]; then
      command+=" $word"
    else
      ((++positionals))
    fi
  done
}

_ukaictl_options() {
  case $1 in
    "disk create")
      echo "--size --block-size --location --stripe --replicas --force --meta" ;;
    "disk import")
      echo "--size --format --host --mount --block-size --location --stripe --replicas --force --meta" ;;
    "disk export") echo "--format --host --mount --force" ;;
    "disk resize") echo "--force" ;;
    "disk delete" | "snapshot delete") echo "--if-exists" ;;
    "disk map") echo "--blocks" ;;
    "disk hosts") echo "--allow --deny" ;;
    "disk set") echo "--meta" ;;
    "disk recover") echo "--from --accept-loss --yes" ;;
    "node remove") echo "--lost --accept-loss" ;;
    "node drain") echo "--to --stop --rate --detach --plan" ;;
    "location add" | "location remove") echo "--blocks" ;;
    sync) echo "--blocks --rate --detach --plan" ;;
    replicate) echo "--to --blocks --rate --detach --plan" ;;
    relocate) echo "--from --to --blocks --rate --detach --plan" ;;
    "job list") echo "--all" ;;
    "lease release") echo "--force" ;;
    "metadata rebuild") echo "--apply --accept-loss --cluster" ;;
    events) echo "--disk --limit" ;;
    create_image | touch) echo "-s -b -l -h" ;;
    synchronize) echo "-s -e -v" ;;
  esac
}

# What the next word without a dash may be.
_ukaictl_words() {
  case $1 in
    "")
      echo "disk snapshot clone location node host lease metadata sync replicate relocate job scrub topology advise events errors status diag" \
        "version create_image touch destroy_image rm get_image_names ls get_image_info stat get_metadata" \
        "get_statistics get_error_state synchronize add_location remove_location add_hypervisor" \
        "remove_hypervisor" ;;
    disk) echo "create delete list info map stats verify diff import export resize rename hosts set recover" ;;
    snapshot) echo "create delete list info rollback" ;;
    node) echo "list info remove drain" ;;
    location) echo "add remove" ;;
    job) echo "list info wait cancel rate" ;;
    host) echo "list" ;;
    lease) echo "show release" ;;
    metadata) echo "dump load rebuild" ;;
    "metadata dump" | "metadata load" | "disk import") ((positionals == 0)) && compgen -f -- "$current" ;;
    "node info" | "node remove" | "node drain") ((positionals == 0)) && _ukaictl_nodes ;;
    "location add" | "location remove" | add_location | remove_location)
      if ((positionals == 0)); then _ukaictl_disks; elif ((positionals == 1)); then _ukaictl_nodes; fi ;;
    replicate | relocate) _ukaictl_disks ;;
    "job list") ((positionals == 0)) && _ukaictl_disks ;;
    "job wait" | "job cancel") _ukaictl_jobs ;;
    job\ *) ((positionals == 0)) && _ukaictl_jobs ;;
    "disk export") if ((positionals == 0)); then _ukaictl_disks; elif ((positionals == 1)); then compgen -f -- "$current"; fi ;;
    "disk create" | create_image | touch) ;;
    "snapshot create") _ukaictl_disks ;;
    disk\ * | snapshot\ * | clone | lease\ * | sync | scrub | advise | destroy_image | rm | get_image_info | stat | get_metadata | \
      get_statistics | synchronize)
      [[ $1 != "disk list" ]] && ((positionals == 0)) && _ukaictl_disks ;;
    add_hypervisor | remove_hypervisor)
      if ((positionals == 0)); then _ukaictl_disks; elif ((positionals == 1)); then _ukaictl_hosts; fi ;;
  esac
}

_ukaictl() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local command positionals
  COMPREPLY=()
  _ukaictl_command
  case $previous in
    -o | --output) COMPREPLY=($(compgen -W "table json" -- "$current")) && return ;;
    --config) COMPREPLY=($(compgen -f -- "$current")) && return ;;
    --from) COMPREPLY=($(compgen -W "$(_ukaictl_nodes)" -- "$current")) && return ;;
    --location | -l | --to)
      # NODE[,NODE…]: complete what follows the last comma.
      local done_part=""
      [[ $current == *,* ]] && done_part=${current%,*},
      COMPREPLY=($(compgen -P "$done_part" -W "$(_ukaictl_nodes)" -- "${current##*,}"))
      compopt -o nospace 2>/dev/null
      return
      ;;
    --disk) COMPREPLY=($(compgen -W "$(_ukaictl_disks)" -- "$current")) && return ;;
    --format) COMPREPLY=($(compgen -W "raw qcow2" -- "$current")) && return ;;
    --mount) COMPREPLY=($(compgen -d -- "$current")) && return ;;
    --allow | --deny | --host) COMPREPLY=($(compgen -W "$(_ukaictl_hosts)" -- "$current")) && return ;;
    --block-size | -b) COMPREPLY=($(compgen -W "64KiB 1MiB 4MiB 64MiB" -- "$current")) && return ;;
    --metadata | --timeout | --size | --replicas | --meta | --blocks | --limit | --cluster | --rate) return ;;
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$(_ukaictl_options "$command") --config --metadata --output --timeout --help" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$(_ukaictl_words "$command")" -- "$current"))
  fi
}

complete -F _ukaictl ukaictl
