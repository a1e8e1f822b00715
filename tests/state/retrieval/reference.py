"""The sources again, slow and obvious: dicts and loops, straight from the formulas."""

from collections import defaultdict
from math import exp, log, sqrt

from state.retrieval.features import features_of

DAY = 86_400_000


class Reference:
    """Folds (item, session, time, type code) and scores like `Models`, without pools, rings or arenas."""

    def __init__(self, config):
        self.config = config
        self.rows = {}
        self.times = {}
        self.order = []
        self.postings = defaultdict(list)
        self.rules = defaultdict(lambda: defaultdict(float))
        self.popularity = defaultdict(float)
        self.hours = defaultdict(lambda: defaultdict(float))
        self.catalogue = {}
        self.seen = {}
        self.origin = None

    def learn(self, interactions):
        for item, session, time, type_code in interactions:
            if self.origin is None:
                self.origin = time
            self.seen.setdefault(item, len(self.seen))
            if session:
                self._rules(item, session, time)
                self._session(item, session, time)
            self.popularity[item] += self.config.type_weights[type_code] * self._age(
                time, self.config.popularity_decay_days
            )
            weight = self.config.type_weights[type_code] * self._age(time, self.config.hour_decay_days)
            self.hours[time // 3_600_000 % 24][item] += weight

    def _age(self, time, days):
        return exp((time - self.origin) / (days * DAY))

    def _session(self, item, session, time):
        if session not in self.rows:
            self.rows[session] = []
            self.times[session] = time
            self.order.append(session)
            if len(self.order) > self.config.max_sessions:
                gone = self.order.pop(0)
                del self.rows[gone], self.times[gone]
                for holder, posted in self.postings.items():
                    self.postings[holder] = [None if other == gone else other for other in posted]
        row = self.rows[session]
        if item in row:
            row.remove(item)
        else:
            if len(row) == self.config.session_items:
                row.pop(0)
            self.postings[item] = [*self.postings[item], session][-self.config.postings :]
        row.append(item)
        self.times[session] = max(self.times[session], time)

    def _rules(self, item, session, time):
        before = self.rows.get(session, [])
        for g in range(1, self.config.rule_steps + 1):
            if g <= len(before) and before[-g] != item:
                share = self._age(time, self.config.rule_decay_days) / g
                self.rules[before[-g]][item] += share
                if self.config.rule_backward_weight:
                    self.rules[item][before[-g]] += share * self.config.rule_backward_weight

    def idf(self, item):
        holders = sum(item in row for row in self.rows.values())
        return log((len(self.rows) + 1) / holders) if holders else log(len(self.rows) + 1)

    def similarities(self, session, own=None):
        config, result = self.config, {}
        for other, row in self.rows.items():
            base, first = 0.0, None
            for j, item in enumerate(session[: config.query_items]):
                if other in self.postings[item] and other != own:
                    base += exp(-j / config.match_decay_steps) * self.idf(item) ** config.idf_exponent
                    first = j if first is None else first
            if first is not None:
                similarity = base**config.similarity_exponent / len(row) ** config.length_exponent
                similarity *= self._age(self.times[other], config.session_decay_days)
                result[other] = (similarity, first)
        return result

    def neighbours(self, session, own=None):
        """Score of each item, up to a common factor; `session` is distinct, newest first."""
        config, scores = self.config, defaultdict(float)
        ranked = sorted(self.similarities(session, own).items(), key=lambda entry: -entry[1][0])
        for other, (similarity, first) in ranked[: config.neighbours]:
            row = self.rows[other]
            anchor = max((p for p, item in enumerate(row) if item in session), default=0)
            for place, item in enumerate(row):
                if place >= anchor:
                    factor = exp(-(place - anchor) / config.after_decay_steps)
                else:
                    factor = config.before_weight * exp(-(anchor - place) / config.before_decay_steps)
                scores[item] += similarity * exp(-first / config.vote_decay_steps) * factor
        return {item: score * (1 + config.idf_weight * self.idf(item)) for item, score in scores.items()}

    def sequence(self, session):
        scores = defaultdict(float)
        for j, item in enumerate(session[: self.config.rule_steps]):
            row = self.rules.get(item, {})
            for target, weight in row.items():
                factor = exp(-j / self.config.rule_query_decay_steps)
                scores[target] += factor * weight / sqrt(sum(row.values()))
        return dict(scores)

    def two_hop(self, session):
        scores, first = defaultdict(float), self.sequence(session)
        best = sorted(first, key=lambda item: (-first[item], self.seen[item]))
        for through in best[: self.config.two_hop_through]:
            row = self.rules.get(through, {})
            strongest = sorted(row, key=lambda target: -row[target])[: self.config.two_hop_targets]
            for target in strongest:
                scores[target] += first[through] * row[target] / sqrt(sum(row.values()))
        return dict(scores)

    def popular(self):
        return self._pool(self.popularity)

    def _pool(self, items):
        top = sorted((i for i in items if self.popularity[i] > 0), key=lambda i: -self.popularity[i])
        return {item: self.popularity[item] for item in top[: self.config.popularity_pool]}

    def category_of(self, item):
        return self.catalogue[item].category if item in self.catalogue else None

    def category(self, session):
        scores = defaultdict(float)
        for j, current in enumerate(session[: self.config.category_items]):
            category = self.category_of(current)
            if category is not None:
                mine = [item for item in self.popularity if self.category_of(item) == category]
                for item, score in scaled(self._pool(mine)).items():
                    scores[item] += exp(-j / self.config.category_decay_steps) * score
        return dict(scores)

    def hour(self, now):
        return dict(self.hours[now // 3_600_000 % 24])

    def content(self, session):
        scores, limit = defaultdict(float), self.config.content_features
        features = {item: set(features_of(of, limit)) for item, of in self.catalogue.items()}
        for j, current in enumerate(session[: self.config.content_items]):
            mine = features.get(current, set())
            for item, others in features.items():
                if common := mine & others:
                    idf = sum(
                        log((len(features) + 1) / sum(f in of for of in features.values())) for f in common
                    )
                    held = sum(item in row for row in self.rows.values())
                    known = 1 + held / self.config.content_fade_sessions
                    closeness = idf / sqrt(len(mine) * len(others)) / known
                    scores[item] += exp(-j / self.config.content_decay_steps) * closeness
        return dict(scores)

    def history(self, items):
        steps = self.config.history_decay_steps
        return {item: exp(-j / steps) for j, item in enumerate(items[: self.config.history_items])}


def scaled(scores):
    """The scores over their maximum."""
    top = max(scores.values(), default=0.0)
    return {item: score / top for item, score in scores.items()} if top else {}
