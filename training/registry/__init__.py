"""The registry: models as folders that never change and rows that say what may be done with them.

    register    a bundle becomes a candidate           folders.py, registering.py, taught.py
    promote     a candidate takes the exam and serves  exam.py, ancestry.py, objecting.py, promoting.py
    rollback    the champion before it serves again    history.py, promoting.py
    shadow      a model scores beside the champion     stages.py, comparing.py

Who serves what stands in Postgres (`monitor/store/queries/models.py`); consumers follow it (`monitor/reload.py`).
"""
