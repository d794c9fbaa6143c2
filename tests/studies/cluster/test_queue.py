"""Trials and slots as Ray Tune asks for them; no Ray runs."""

from studies.cluster.queue import ASK, Listed, Queue

ASKS = (0.9, 0.9, 0.1)


class Noted(Listed):
    def __init__(self, trial_ids):
        super().__init__(trial_ids)
        self.told = []

    def ended(self, trial_id):
        self.told.append(trial_id)


def test_trials_come_in_order_each_with_a_slot_until_none_is_free():
    queue = Queue(Listed("abcd"), {"store": "s"}, ASKS)
    given = [queue.suggest(f"ray{number}") for number in range(3)]
    assert [each["trial_id"] for each in given] == ["a", "b", "c"]
    assert [each[ASK] for each in given] == [0.9, 0.9, 0.1]
    assert {each["store"] for each in given} == {"s"}
    assert queue.suggest("ray3") is None


def test_the_next_trial_takes_the_slot_that_became_free():
    queue = Queue(Listed("abcd"), {}, ASKS)
    for number in range(3):
        queue.suggest(f"ray{number}")
    queue.on_trial_complete("ray2")
    assert queue.suggest("ray3") == {"trial_id": "d", ASK: 0.1}
    queue.on_trial_complete("ray0")
    assert queue.suggest("ray4") == Queue.FINISHED


def test_the_source_hears_of_ends_once_and_not_of_trials_that_ray_gave_up():
    source = Noted("abc")
    queue = Queue(source, {}, ASKS)
    for number in range(3):
        queue.suggest(f"ray{number}")
    queue.on_trial_complete("ray1")
    queue.on_trial_complete("ray1")
    queue.on_trial_complete("ray0", error=True)
    assert source.told == ["b"]
    queue.on_trial_complete("never seen")
    assert source.told == ["b"]
