"""Slow, obvious neighbour methods over sets and dictionaries, as published code has them."""

from collections import Counter, defaultdict
from math import exp, log, sqrt

DAY_SECONDS = 86_400


class Reference:
    """Whole sessions; `rows` are (session, item, time in milliseconds) in the order they happened."""

    def __init__(self, rows):
        self.sessions = defaultdict(list)
        self.times = {}
        for session, item, time in rows:
            self.sessions[session].append(item)
            self.times[session] = time
        self.counts = Counter(item for _, item, _ in rows)
        # Equal times: the later in the order of keys is the more recent.
        self.order = {
            session: n for n, session in enumerate(sorted(self.times, key=lambda s: (self.times[s], s)))
        }

    def idf(self, item):
        return log(len(self.sessions) / self.counts[item])

    def recent(self, current, sample):
        met = [session for session, items in self.sessions.items() if set(items) & set(current)]
        return sorted(met, key=lambda session: -self.order[session])[:sample]

    def nearest(self, current, sample, neighbours, similarity):
        found = [(session, similarity(session)) for session in self.recent(current, sample)]
        return sorted(found, key=lambda pair: -pair[1])[:neighbours]

    def sknn(self, current, sample, neighbours):
        def similarity(session):
            items = set(self.sessions[session])
            return len(items & set(current)) / sqrt(len(set(current))) / sqrt(len(items))

        scores = Counter()
        for session, value in self.nearest(current, sample, neighbours, similarity):
            for item in set(self.sessions[session]):
                scores[item] += value
        return scores

    def vsknn(self, current, sample, neighbours, idf_weight):
        length = len(current)
        weight = {item: (place / length) ** 2 for place, item in enumerate(current, 1)}

        def similarity(session):
            return sum(weight[item] for item in set(self.sessions[session]) & set(current)) / len(weight)

        scores = Counter()
        for session, value in self.nearest(current, sample, neighbours, similarity):
            items = set(self.sessions[session])
            back = next(j for j, item in enumerate(reversed(current), 1) if item in items)
            for item in items:
                scores[item] += value * (1 - 0.1 * back) * (1 + idf_weight * self.idf(item))
        return scores

    def vstan(self, current, sample, neighbours, spw, snh, inh, *, ipw=None, idf_weight=0.0):
        length = len(current)
        weight = {item: exp((place - length) / spw) for place, item in enumerate(current, 1)}
        norm = sqrt(sum(value**2 for value in weight.values()))
        now = max(self.times.values()) / 1000

        def similarity(session):
            items = set(self.sessions[session])
            age = exp(-(now - self.times[session] / 1000) / (snh * DAY_SECONDS))
            return sum(weight[item] for item in items & set(current)) / (norm * sqrt(len(items))) * age

        scores = Counter()
        for session, value in self.nearest(current, sample, neighbours, similarity):
            rows = self.sessions[session]
            last = {item: place for place, item in enumerate(rows, 1)}
            star = max(place for place, item in enumerate(rows, 1) if item in current)
            back = next(j for j, item in enumerate(reversed(current), 1) if item in last)
            vote = 1.0 if ipw is None else exp(-(back - 1) / ipw)
            for item, place in last.items():
                near = exp(-abs(place - star) / inh)
                scores[item] += value * vote * near * (1 + idf_weight * self.idf(item))
        return scores

    def vmis(self, current, recent, neighbours, last_items):
        current = current[-last_items:]
        rows = sum(self.counts.values())
        similarity = {}
        for back, item in enumerate(reversed(current)):
            if item in current[len(current) - back :]:
                continue
            own = self.recent([item], recent)
            for session in own:
                similarity[session] = similarity.get(session, 0) + (len(current) - back) / len(current)
            kept = sorted(similarity, key=lambda session: -self.order[session])[:recent]
            similarity = {session: similarity[session] for session in kept}
        best = sorted(similarity, key=lambda session: (-similarity[session], -self.order[session]))
        scores = Counter()
        for session in best[:neighbours]:
            items = set(self.sessions[session])
            back = next(j for j, item in enumerate(reversed(current), 1) if item in items)
            for item in items - {current[-1]}:
                scores[item] += similarity[session] * (1 - 0.1 * back) * log(rows / self.counts[item])
        return scores
