import subprocess
import sys

import pytest

from stream.claim import ClaimedError, claimed


def test_a_claimed_folder_cannot_be_claimed_again_until_it_is_left(tmp_path):
    with claimed(tmp_path), pytest.raises(ClaimedError, match="in use"), claimed(tmp_path):
        pass
    with claimed(tmp_path):
        pass


def test_a_child_that_inherits_the_claim_keeps_it_until_it_ends(tmp_path):
    with claimed(tmp_path) as held:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(held,))
    with pytest.raises(ClaimedError), claimed(tmp_path):
        pass
    child.kill()
    child.communicate()
    with claimed(tmp_path):
        pass
