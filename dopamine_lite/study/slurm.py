"""A Slurm script for a study: an array job in which each index is one trial."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from dopamine_lite.study.examination import Needs
from dopamine_lite.study.study import Trial

_SECONDS_BEFORE_THE_LIMIT = 120

_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=0-{last}
#SBATCH --cpus-per-task={cores}
#SBATCH --mem={memory}M
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@{seconds}
#SBATCH --output={output}
#
# {trials} trials, one for each index. Options on the command line of `sbatch`, such as --time,
# --partition, --gres or --array=0-{last}%8 for eight at once, replace those above. A trial that is
# preempted or reaches its time limit stops at a safe point and is put back into the queue. It then goes
# on from its newest checkpoint and ends as if it had never been stopped. `scancel` ends it for good.

cd {here} || exit 1

case "$SLURM_ARRAY_TASK_ID" in
{cases}
  *) echo "there is no trial $SLURM_ARRAY_TASK_ID" >&2; exit 2 ;;
esac

trap 'kill -TERM "$trial"' TERM  # bash itself would wait for the trial to end before it obeys
{python} -m dopamine_lite "$@" &
trial=$!
wait "$trial"
status=$?
while kill -0 "$trial" 2>/dev/null; do  # the signal ended the wait, not the trial
  wait "$trial"
  status=$?
done
if [ "$status" -eq 143 ]; then
  job=$(scontrol --oneliner show job "$SLURM_JOB_ID")
  if [[ $job != *JobState=C* || $job == *PreemptTime=2* ]]; then  # not ended by `scancel`
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
  fi
fi
exit "$status"
"""


def script(study: Path, trials: Sequence[Trial], needs: Sequence[Needs]) -> str:
    """The script that runs `trials`, in the current directory.

    Args:
      study: the study's directory.
      trials: the trials in the order of the indices, from 0.
      needs: the trials' needs. The script asks for the greatest needs.
    """
    return _SCRIPT.format(
        name=shlex.quote(study.absolute().name),
        last=len(trials) - 1,
        trials=len(trials),
        cores=max(each.cores for each in needs),
        memory=-(-max(each.memory for each in needs) // 1_000_000),
        seconds=_SECONDS_BEFORE_THE_LIMIT,
        output=shlex.quote(str(study.absolute() / "slurm-%A_%a.txt")),
        python=shlex.quote(sys.executable),
        here=shlex.quote(os.getcwd()),
        cases="\n".join(
            f"  {index}) set -- {shlex.join(trial.arguments(study))} ;;"
            for index, trial in enumerate(trials)
        ),
    )
