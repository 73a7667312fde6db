"""The scripts in docs/cluster.md are run as printed, with stand-ins for what a cluster has."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[1] / "docs" / "cluster.md"
STAND_INS = {
    "scontrol": '[ "$1 $2" = "show hostnames" ] && echo "$3" | tr , "\\n"',
    "srun": """
        [ "$1" = --cpus-per-task ] || exit 1
        shift 2
        for id in 0 1; do SLURM_NODEID=$id SLURM_PROCID=$id SLURM_NTASKS=2 "$@"; done
    """,
    "torchrun": 'echo "torchrun $*"',
    "ray": 'echo "ray $*"',
    "python": 'echo "python $*"',
}
ENVIRONMENT = {
    "SLURM_JOB_NODELIST": "alpha,beta",
    "SLURM_NNODES": "2",
    "SLURM_CPUS_PER_TASK": "64",
    "SLURM_ARRAY_TASK_ID": "3",
}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
def test_slurm_scripts_start_what_the_guide_says(tmp_path):
    for name, text in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    started = []
    for script in blocks("sh"):
        if "#SBATCH" not in script:
            continue
        assert script.startswith("#!/bin/bash\n#SBATCH")  # else sbatch refuses it
        (tmp_path / "script").write_text(script)
        run = subprocess.run(
            ["bash", "-eu", tmp_path / "script"], capture_output=True, text=True, check=True,
            env={**os.environ, **ENVIRONMENT, "PATH": path},
        )  # fmt: skip
        assert not run.stderr
        started.append([" ".join(line.split()) for line in run.stdout.splitlines()])
    jobs, rays, training = started
    assert jobs == ["python -m animate_anyone animate --jobs jobs.jsonl --out results --shard 3/8"]
    assert len(rays) == 2
    for line in rays:
        assert line.startswith("ray symmetric-run --address alpha:6379 --min-nodes 2 --num-cpus 64")
        assert line.endswith("animate --jobs jobs.jsonl --out results --ray alpha:6379")
    assert len(training) == 2
    for rank, line in enumerate(training):
        assert f"--nnodes 2 --nproc-per-node 8 --node-rank {rank} --master-addr alpha" in line
        assert "-m animate_anyone train stage1 --folder RUN --recipe paper" in line


def test_the_wrapper_for_ray_train_gives_each_worker_the_command(monkeypatch, capsys):
    given = []

    class Trainer:
        def __init__(self, work, train_loop_config, scaling_config):
            given.append((work, train_loop_config, scaling_config))

        def fit(self):
            work, config, _ = given[0]
            work(config)

    stand_ins = {
        "ray": {},
        "ray.train": {"ScalingConfig": dict},
        "ray.train.torch": {"TorchTrainer": Trainer},
    }
    for name, values in stand_ins.items():
        module = type(sys)(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    (script,) = (text for text in blocks("python") if "TorchTrainer" in text)
    monkeypatch.setattr(sys, "argv", ["ray_train.py", "2", "cpu", "train", "stage1", "--help"])
    with pytest.raises(SystemExit):  # the end of a command that shows its help
        exec(compile(script, "ray_train.py", "exec"), {"__name__": "__main__"})
    assert given[0][2] == {"num_workers": 2, "use_gpu": False}
    assert "--lora RANK" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
@pytest.mark.parametrize("code", [0, 3])
def test_the_training_script_ends_as_the_training_and_is_queued_again_at_its_limit(tmp_path, code):
    (script,) = (text for text in blocks("sh") if "USR1" in text)
    stand_ins = {
        "scontrol": 'if [ "$1" = requeue ]; then echo "again $2" >> told; else echo alpha; fi',
        "srun": f"touch running; until [ -e told ]; do sleep .05; done; exit {code}",
    }
    for name, text in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    more = {"PATH": path, "SLURM_JOB_ID": "7"}
    run = subprocess.Popen(
        ["bash", "-c", script], cwd=tmp_path, env={**os.environ, **ENVIRONMENT, **more}
    )
    while not (tmp_path / "running").exists():
        time.sleep(0.02)
    if code == 0:  # the time limit is near
        run.send_signal(signal.SIGUSR1)
        assert run.wait(20) == 128 + signal.SIGUSR1  # SLURM ends the job before that
        assert (tmp_path / "told").read_text() == "again 7\n"
    else:
        (tmp_path / "told").touch()
        assert run.wait(20) == code
