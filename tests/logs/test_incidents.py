"""Incidents: told once as long as they last."""

import errno
import os

import pytest

from ppo_np.logs.incidents import Incidents


def test_an_incident_is_told_once_until_it_is_over():
    told = []
    incidents = Incidents(told.append)
    for fails in (True, True, False, True):
        with incidents.of("x.h5"):
            if fails:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    sentence = "x.h5 cannot be written (No space left on device): training continues and will try again."
    assert told == [sentence, sentence]
    assert incidents.summary() == "x.h5 could not be written: No space left on device."
    with incidents.of("x.h5"):
        pass
    assert not incidents.lasting


def test_several_at_a_time_and_reasons_without_a_number():
    told = []
    incidents = Incidents(told.append)
    for what, error in (("a", OSError("what was written\ncame back different")), ("b", MemoryError())):
        with incidents.of(what):
            raise error
    assert len(told) == 2
    assert incidents.summary() == (
        "a could not be written: what was written came back different; b could not be written: MemoryError."
    )


def test_a_bug_stays_an_exception():
    with pytest.raises(ZeroDivisionError), Incidents(pytest.fail).of("x"):
        _ = 1 / 0
