#!/usr/bin/env bash
# A real SLURM cluster on this host alone: two virtual nodes with pretended GPUs, without systemd, as root.
#   tests/slurm/cluster.sh up FOLDER [OWNER]   start it; FOLDER is new or empty and holds all that the daemons write
#   tests/slurm/cluster.sh down FOLDER         stop what was started from FOLDER, by process id
# A host has one such cluster at a time, since jobs read /etc/slurm whatever the environment says: `up` waits for that of
# another user to end, and stops it first where its OWNER, a process, has gone.
# CPUS, MEMORY (MB) and GPUS of a node, and WAIT (seconds), may be set in the environment.
# Debian: apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge
set -euo pipefail

usage() { sed -n '2,7s/^# *//p' "$0" >&2; exit 2; }
[ $# -ge 2 ] || usage
folder=$(realpath -m "$2")
owner=${3:-1}
nodes=2
cpus=${CPUS:-1}
memory=${MEMORY:-8000}
gpus=${GPUS:-2}
wait=${WAIT:-1800}
configuration=/etc/slurm
# Says of a link in /etc/slurm that it is a test cluster's.
file=test-cluster.conf
# Not in the folder: munge wants a path that every user may walk.
socket=/run/test-cluster/munge.socket

fail() { echo "error: $1" >&2; exit 1; }

# Waits up to 30 seconds for a command to succeed.
wait_for() { for _ in $(seq 120); do "$@" > /dev/null 2>&1 && return 0; sleep 0.25; done; return 1; }

all_idle() { [ "$(sinfo --noheader --Node --states=idle --format=%N | sort -u | wc -l)" = "$nodes" ]; }

is_ours() { [ "$(readlink "$configuration/slurm.conf" 2> /dev/null)" = "$folder/etc/$file" ]; }

gone() { ! kill -0 "$1" 2> /dev/null; }

# Makes /etc/slurm ours. Whoever waits holds the lock, so that those behind wait in turn.
claim() {
  local lock link other end=$((SECONDS + wait))
  mkdir -p "$configuration"
  exec {lock}< "$configuration"
  flock --timeout "$wait" "$lock" || fail "other test clusters were waited for in vain for $wait seconds"
  until ln -s "$folder/etc/$file" "$configuration/slurm.conf" 2> /dev/null; do
    link=$(readlink "$configuration/slurm.conf" || true)
    [ "${link##*/}" = "$file" ] || fail "$configuration/slurm.conf exists; this host belongs to a cluster"
    other=${link%/etc/"$file"}
    if gone "$(cat "$other/owner" 2> /dev/null)"; then
      "$0" down "$other"
    else
      [ "$SECONDS" -lt "$end" ] || fail "the test cluster in $other was waited for in vain for $wait seconds"
      sleep 1
    fi
  done
  exec {lock}<&-
}

# A port of loopback on which nobody listens; for another number, another port.
free_port() {
  local port first=$((20000 + 1000 * $1))
  for port in $(shuf --input-range="$first-$((first + 999))"); do
    (: < "/dev/tcp/127.0.0.1/$port") 2> /dev/null || { echo "$port"; return; }
  done
  fail "no port is free"
}

write_configuration() {
  # Clones of /dev/null pass for GPUs: SLURM wants device files before it sets CUDA_VISIBLE_DEVICES.
  local device="Count=$gpus" address
  address="NodeHostname=$(hostname -s) NodeAddr=127.0.0.1"
  if mknod -m 666 "$folder/dev/nvidia0" c 1 3 2> /dev/null; then
    for i in $(seq 1 $((gpus - 1))); do mknod -m 666 "$folder/dev/nvidia$i" c 1 3; done
    device="File=$folder/dev/nvidia[0-$((gpus - 1))] Flags=nvidia_gpu_env"
  fi
  cat > "$folder/etc/gres.conf" << END
AutoDetect=off
NodeName=node[1-$nodes] Name=gpu $device
END
  cat > "$folder/etc/$file" << END
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$(free_port 0)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$socket
CredType=cred/munge
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.%n.pid
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.%n.log
# Neither cgroups nor binding to CPUs: both nodes are this host.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=5,batch_sched_delay=0
# A node may claim more CPUs than the host has.
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=30
SlurmctldTimeout=30
InactiveLimit=0
KillWait=15
# squeue shows jobs for so many seconds after their end; there is no accounting here.
MinJobAge=3600
AccountingStorageType=accounting_storage/none
GresTypes=gpu
NodeName=DEFAULT RealMemory=$memory Gres=gpu:$gpus State=UNKNOWN
NodeName=DEFAULT CPUs=$cpus Boards=1 SocketsPerBoard=1 CoresPerSocket=$cpus ThreadsPerCore=1
$(for i in $(seq "$nodes"); do echo "NodeName=node$i $address Port=$(free_port "$i")"; done)
PartitionName=cpu Nodes=ALL Default=YES MaxTime=24:00:00 DefMemPerCPU=100 State=UP
PartitionName=gpu Nodes=ALL MaxTime=24:00:00 DefMemPerCPU=100 State=UP
END
}

up() {
  [ "$(id -u)" = 0 ] || fail "the test cluster has to be started by root"
  for program in munged slurmctld slurmd sbatch srun; do
    command -v "$program" > /dev/null || fail "$program is missing; install slurmctld, slurmd, slurm-client and munge"
  done
  [ -z "$(ls -A "$folder" 2> /dev/null)" ] || fail "$folder is not empty"
  unset SLURM_CONF
  install -d -m 755 "$folder" "$folder"/{etc,run,log,state,spool,dev} "$(dirname "$socket")"
  echo "$owner" > "$folder/owner"
  claim
  head -c 1024 /dev/urandom > "$folder/etc/munge.key"
  chmod 600 "$folder/etc/munge.key"
  write_configuration
  ln -sfn "$folder/etc/gres.conf" "$configuration/gres.conf"
  munged --key-file="$folder/etc/munge.key" --pid-file="$folder/run/munged.pid" --socket="$socket" \
    --log-file="$folder/log/munged.log" --seed-file="$folder/state/munge.seed"
  slurmctld
  for i in $(seq "$nodes"); do
    mkdir -p "$folder/spool/node$i"
    slurmd -N "node$i"
  done
  wait_for all_idle || fail "the nodes did not come up; see $folder/log"
  srun --ntasks=1 --time=1 true || fail "a first job did not run; see $folder/log"
  echo "SLURM is up: $nodes nodes with $cpus CPUs, $memory MB and $gpus pretended GPUs each"
}

# Ends the process of a pid file, if it still is the program that wrote it.
stop() {
  [ -f "$1" ] || return 0
  local id
  id=$(cat "$1")
  [ "$(cat "/proc/$id/comm" 2> /dev/null)" = "$2" ] || return 0
  kill "$id" 2> /dev/null || return 0
  wait_for gone "$id" || kill -9 "$id"
}

none_left() { [ -z "$(squeue --noheader --format=%i --states=pending,running,completing)" ]; }

down() {
  if is_ours && none_left 2> /dev/null; then :; elif is_ours; then
    squeue --noheader --format=%i --states=pending,running | xargs --no-run-if-empty scancel || true
    wait_for none_left || true
  fi
  for i in $(seq "$nodes"); do stop "$folder/run/slurmd.node$i.pid" slurmd; done
  stop "$folder/run/slurmctld.pid" slurmctld
  stop "$folder/run/munged.pid" munged
  if is_ours; then rm -f "$configuration/slurm.conf" "$configuration/gres.conf"; fi
  echo "SLURM is down"
}

case $1 in
  up) up ;;
  down) down ;;
  *) usage ;;
esac
