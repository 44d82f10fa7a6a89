"""Answers that are remembered for a while."""

import asyncio

from backend_worker.dashboard.watch import Remembered


async def ask_often(remembered, times):
    return await asyncio.gather(*(remembered.get() for _ in range(times)))


def counting(seconds=0.0):
    asked = []

    async def ask():
        await asyncio.sleep(seconds)
        asked.append(1)
        return len(asked)

    return ask


def test_many_who_ask_at_once_wait_for_one_answer():
    assert asyncio.run(ask_often(Remembered(60, counting(0.01)), 5)) == [1] * 5


def test_answer_is_asked_for_anew_when_it_is_old():
    async def twice():
        remembered = Remembered(0.02, counting())
        first = await remembered.get()
        await asyncio.sleep(0.05)
        return first, await remembered.get()

    assert asyncio.run(twice()) == (1, 2)


def test_answer_that_takes_long_is_kept_for_longer():
    async def thrice():
        remembered = Remembered(0.01, counting(0.05), share=0.05)
        first = await remembered.get()
        await asyncio.sleep(0.2)  # it took 50 ms: for a second it is not asked again
        return first, await remembered.get()

    assert asyncio.run(thrice()) == (1, 1)
