"""Work for a machine elsewhere, with a GPU say; it needs Celery, and no Penstock.

    BROKER=redis://gpu-broker/0 PENSTOCK_BROKER=redis://gateway/0 \
        celery -A celery_engine worker --queues gpu --concurrency 1
"""

import os
import shutil

from celery import Celery

app = Celery("engine", broker=os.environ["BROKER"])
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)
penstock = Celery("penstock", broker=os.environ["PENSTOCK_BROKER"])


@app.task(name="engine.work")
def work(job: str, token: str, input: str, output: str, **more: object) -> None:
    end = {"job": job, "token": token, "succeeded": True}
    try:
        shutil.copytree(input, output, dirs_exist_ok=True)  # here the model would work
    except OSError as error:
        end |= {"succeeded": False, "retry": True, "message": str(error.strerror)}
    penstock.send_task("penstock.finish", kwargs=end, queue="finish")
