"""Start a training on the nodes and GPUs of its job: by torchrun on one node, by srun and torchrun on several.

Each program replaces the one that calls it, so that signals reach the training and nothing is left behind.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence

from workflow_scripts.command_line import run_command

TRAINING = "workflow_scripts.training.train_adaptor"
TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
# What an srun shall see of the job step that it is called in; the step's other options would become its own.
INHERITED = ("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_JOB_END_TIME", "SLURM_CLUSTER_NAME", "SLURM_CONF")


def processes_per_node(nodes: int, gpu: int, gres: str, batch_size: int) -> int:
    """Return how many processes train on a node: one for each of its GPUs, and one where there is none.

    They are fewer where a batch would not divide among them, or among the nodes, which is an error.

    Args:
        nodes: number of nodes.
        gpu: GPUs of the whole job.
        gres: GPUs of every node, as SLURM writes it (`gpu:4`, `gpu:a100:4`), or nothing.
        batch_size: samples in a batch, over all processes.
    """
    gpus = _gpus_per_node(nodes, gpu, gres)
    fitting = [number for number in range(1, gpus + 1) if batch_size % (nodes * number) == 0]
    if not fitting:
        raise ValueError(
            f"batch_size = {batch_size} does not divide among {nodes} nodes; set nodes to a divisor of it."
        )
    return fitting[-1]


def _gpus_per_node(nodes: int, gpu: int, gres: str) -> int:
    if gres:
        match = re.fullmatch(r"gpu(?::[A-Za-z]\w*)?(?::(\d+))?", gres)
        if match is None:
            raise ValueError(f"gres = {gres!r} names no GPUs; write gpu:4 or gpu:a100:4, the GPUs of one node.")
        return int(match.group(1) or 1)
    if gpu % nodes:
        raise ValueError(
            f"gpu = {gpu} GPUs do not divide among {nodes} nodes; write gres: gpu:N, the GPUs of one node, instead."
        )
    return max(gpu // nodes, 1)


def torchrun(nodes: int, processes: int, rank: int, master: str, training: Sequence[str]) -> list[str]:
    """Return the program that starts the training's processes on one node.

    Args:
        nodes: number of nodes.
        processes: processes on each of them.
        rank: which of the nodes this one is.
        master: address and port at which all processes meet; empty on a single node.
        training: arguments of the training.
    """
    if nodes == 1 and processes == 1:
        return [sys.executable, "-m", TRAINING, *training]
    place = ["--standalone"]
    if nodes > 1:
        address, port = master.rsplit(":", 1)
        place = [f"--nnodes={nodes}", f"--node-rank={rank}", f"--master-addr={address}", f"--master-port={port}"]
    return [*TORCHRUN, *place, f"--nproc-per-node={processes}", "-m", TRAINING, *training]


def on_all_nodes(nodes: int, program: Sequence[str]) -> list[str]:
    """Return the program that runs another once on every node of this SLURM job."""
    # --overlap: the step that this runs in holds the job's CPUs. A node that fails ends the others, which would wait.
    step = ["srun", "--overlap", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
    return [*step, "--kill-on-bad-exit=1", "--cpu-bind=none", *program]


def meeting_point(job: str) -> str:
    """Return address and port at which the processes of a job meet: on its first node, a port of its own."""
    nodes = _ask("squeue", "--noheader", "--jobs", job, "--format=%N")
    first = _ask("scontrol", "show", "hostnames", nodes).split()[0]
    address = re.search(r"NodeAddr=(\S+)", _ask("scontrol", "show", "node", first))
    return f"{address.group(1) if address else first}:{20000 + int(job) % 20000}"


def _ask(*program: str) -> str:
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise ValueError(f"SLURM does not say where this job runs: {' '.join(program)}: {done.stderr.strip()}")
    return done.stdout.strip()


def main(argv: Sequence[str] | None = None) -> None:
    """Read the numbers, and become the training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1, help="nodes that train together")
    parser.add_argument("--gpu", type=int, default=0, help="GPUs of the job, over all nodes")
    parser.add_argument("--gres", default="", help="GPUs of each node, as in gpu:4; counts in place of --gpu")
    parser.add_argument("--batch-size", type=int, required=True, help="samples in a batch of the training")
    parser.add_argument("--master", help="address:port where the nodes meet; set for the call on each of several nodes")
    parser.add_argument("training", nargs="+", help="-- and the arguments of train_adaptor")
    arguments = parser.parse_args(argv)
    environment = dict(os.environ)
    nodes = arguments.nodes
    processes = processes_per_node(nodes, arguments.gpu, arguments.gres, arguments.batch_size)
    if nodes > 1 and arguments.master is None:
        job = environment.get("SLURM_JOB_ID")
        if job is None:
            raise ValueError(f"{nodes} nodes train together inside a SLURM job only; set nodes to 1 here.")
        environment = {name: value for name, value in environment.items() if not _of_a_step(name)}
        numbers = [f"--nodes={nodes}", f"--gpu={arguments.gpu}", f"--gres={arguments.gres}"]
        numbers += [f"--batch-size={arguments.batch_size}", f"--master={meeting_point(job)}"]
        again = [sys.executable, "-m", __spec__.name, *numbers, "--"]
        program = on_all_nodes(nodes, [*again, *arguments.training])
    else:
        rank = int(environment.get("SLURM_PROCID", "0"))
        program = torchrun(nodes, processes, rank, arguments.master or "", arguments.training)
    os.execvpe(program[0], program, environment)


def _of_a_step(name: str) -> bool:
    return name.startswith(("SLURM_", "SRUN_")) and name not in INHERITED


if __name__ == "__main__":
    run_command(main)
