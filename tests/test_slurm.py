"""The quick workflow on a real Slurm: one node, this machine; as root on Debian.

Installs slurm-wlm and munge where they are missing, writes /etc/slurm/slurm.conf (kept aside and
put back), starts munged, slurmctld and slurmd, and stops them at the end.
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from rich.console import Console

from adaptrnn.config import ReproduceConfig
from adaptrnn.paper.store import read_results
from adaptrnn.reproduce import run_reproduce

pytestmark = pytest.mark.slurm

CONF = Path("/etc/slurm/slurm.conf")
DAEMONS = ("slurmctld", "slurmd", "munged")


def conf(folder: Path, cores: int, memory: int) -> str:
    host = socket.gethostname().partition(".")[0]
    return f"""\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=batch Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture
def slurm(tmp_path):
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.skip("needs root on Debian")
    if not all(shutil.which(name) for name in DAEMONS):
        command = ["apt-get", "install", "-y", "-qq", "slurm-wlm", "munge"]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("slurm-wlm and munge could not be installed")
    if subprocess.run(["pgrep", "-x", "slurmctld"], capture_output=True).returncode == 0:
        pytest.skip("a Slurm controller runs here already")
    kept = CONF.read_bytes() if CONF.exists() else None
    CONF.parent.mkdir(exist_ok=True)
    for name in ("state", "spool"):
        (tmp_path / name).mkdir()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 1000
    CONF.write_text(conf(tmp_path, os.cpu_count() or 1, memory))
    Path("/run/munge").mkdir(exist_ok=True)
    shutil.chown("/run/munge", "munge", "munge")
    try:
        running = subprocess.run(["pgrep", "-x", "munged"], capture_output=True)
        if running.returncode:
            subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True)
        subprocess.run(["slurmctld"], check=True)
        subprocess.run(["slurmd"], check=True)
        deadline = time.monotonic() + 60
        while subprocess.run(["srun", "hostname"], capture_output=True, timeout=60).returncode:
            assert time.monotonic() < deadline, (tmp_path / "slurmctld.log").read_text()
            time.sleep(1)
        yield
    finally:
        for name in DAEMONS:
            subprocess.run(["pkill", "-x", name])
        if kept is None:
            CONF.unlink(missing_ok=True)
        else:
            CONF.write_bytes(kept)


@pytest.mark.timeout(3000)
def test_the_workflow_runs_on_slurm(slurm, tmp_path):
    options = (
        "--executor slurm --jobs 8 --default-resources slurm_account=none slurm_partition=batch "
        "--slurm-init-seconds-before-status-checks 5 --seconds-between-status-checks 5 "
        "--slurm-status-command squeue"  # there is no accounting that sacct could ask
    )
    path = run_reproduce(
        ReproduceConfig(
            "quick",
            out=tmp_path / "runs",
            report=tmp_path / "report",
            snakemake=options,
        ),
        Console(width=160),
    )
    assert path is not None and path.stat().st_size > 10_000
    _, runs, _ = read_results(tmp_path / "runs" / "results")
    assert len(runs) == 24
    # Slurm, not this process, ran them: it knows a job for each training
    jobs = subprocess.run(["squeue", "-h", "-t", "all", "-o", "%T"], capture_output=True, text=True)
    assert jobs.stdout.split().count("COMPLETED") >= 24
