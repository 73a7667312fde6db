"""The scripts in docs/cluster.md are run as printed, with stand-ins for what a cluster has."""

import os
import re
import shutil
import subprocess
import sys
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
        started.append([" ".join(line.split()) for line in run.stdout.splitlines()])
    jobs, training = started
    assert jobs == ["python -m animate_anyone animate --jobs jobs.jsonl --out results --shard 3/8"]
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
