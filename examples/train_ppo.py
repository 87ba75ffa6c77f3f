"""PPO on CartPole in plain NumPy: change the one line that imports the vector env, and time it.

    python examples/train_ppo.py --engine gymnasium
    python examples/train_ppo.py --engine envhub

Both see the same observations for the same seed, so both learn the same; only the seconds differ.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import gymnasium as gym
import numpy as np

GAMMA, LAMBDA, CLIP = 0.99, 0.95, 0.2
ENTROPY, RATE, EPOCHS, MINIBATCHES = 0.01, 1e-3, 4, 4
HIDDEN = (32, 32)
SCALE = 1 - GAMMA  # of rewards, so that values are about 1


def vector_env(engine: str):
    """The one line that differs."""
    if engine == "envhub":
        from envhub.vector import AsyncVectorEnv
    else:
        from gymnasium.vector import AsyncVectorEnv
    return AsyncVectorEnv


def make_cartpole():
    return gym.make("CartPole-v1")


class Network:
    """Two hidden layers of tanh, its gradient, and Adam."""

    def __init__(self, rng, sizes, last_gain):
        self.weights = [orthogonal(rng, m, n) for m, n in pairwise(sizes)]
        self.weights[-1] *= last_gain
        self.biases = [np.zeros(n, np.float32) for n in sizes[1:]]
        self.moments = [[np.zeros_like(p), np.zeros_like(p)] for p in self.weights + self.biases]
        self.updates = 0

    def __call__(self, x):
        return self.layers(x)[-1]

    def layers(self, x):
        found = [x]
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ w + b
            if i < len(self.weights) - 1:
                x = np.tanh(x)
            found.append(x)
        return found

    def learn(self, layers, gradient):
        """Descend along `gradient`, the loss's by the last layer."""
        weights, biases = [], []
        for i in reversed(range(len(self.weights))):
            weights.insert(0, layers[i].T @ gradient)
            biases.insert(0, gradient.sum(axis=0))
            gradient = gradient @ self.weights[i].T * (1 - layers[i] ** 2)
        gradients = weights + biases
        norm = np.sqrt(sum(float((g**2).sum()) for g in gradients))
        self.updates += 1
        step = RATE * np.sqrt(1 - 0.999**self.updates) / (1 - 0.9**self.updates)
        for p, g, (m, v) in zip(self.weights + self.biases, gradients, self.moments, strict=True):
            g = g * np.float32(min(1.0, 0.5 / (norm + 1e-8)))
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            p -= step * m / (np.sqrt(v) + 1e-8)


def orthogonal(rng, rows, columns):
    q = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))[0]
    return np.ascontiguousarray(q if rows > columns else q.T, dtype=np.float32)


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


@dataclass
class Rollout:
    """What was seen in `steps` steps of `n` envs: arrays of shape (steps, n, ...)."""

    observations: np.ndarray
    actions: np.ndarray
    log_probs: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    over: np.ndarray  # terminated or truncated
    fresh: np.ndarray  # the step only reset the env: its action was ignored
    last: np.ndarray  # (n, ...): the observation after the last step


class Player:
    """Plays a policy in a vector env and remembers how episodes went."""

    def __init__(self, envs, rng, seed):
        self.envs, self.rng = envs, rng
        self.observation, _ = envs.reset(seed=seed)
        self.over = np.zeros(envs.num_envs, bool)
        self.returns = np.zeros(envs.num_envs)
        self.finished = deque(maxlen=100)

    def play(self, policy, steps):
        seen = []
        for _ in range(steps):
            log_probs = log_softmax(policy(self.observation))
            noise = self.rng.gumbel(size=log_probs.shape)
            actions = (log_probs + noise).argmax(axis=1)
            chosen = np.take_along_axis(log_probs, actions[:, None], 1)[:, 0]
            before, fresh = self.observation, self.over
            self.observation, rewards, terminated, truncated, _ = self.envs.step(actions)
            self.over = terminated | truncated
            seen.append((before, actions, chosen, rewards, terminated, self.over, fresh))
            self.count(rewards)
        return Rollout(*map(np.stack, zip(*seen, strict=True)), self.observation)

    def count(self, rewards):
        self.returns += rewards
        self.finished.extend(self.returns[self.over].tolist())
        self.returns[self.over] = 0.0


def advantages(rollout, value):
    """Generalised advantage estimates, and the values that they are above."""
    values = value(rollout.observations)[..., 0]
    following = np.concatenate([values[1:], value(rollout.last).T])
    delta = rollout.rewards * SCALE + GAMMA * following * ~rollout.terminated - values
    found = np.zeros_like(delta)
    running = np.zeros(delta.shape[1])
    for t in reversed(range(len(delta))):
        running = delta[t] + GAMMA * LAMBDA * ~rollout.over[t] * running
        found[t] = running
    return found, values


def improve(policy, value, rollout, rng):
    """A few epochs of clipped policy gradient and regression of the value."""
    gains, values = advantages(rollout, value)
    use = ~rollout.fresh
    observations, actions = rollout.observations[use], rollout.actions[use]
    old, gains, targets = (
        rollout.log_probs[use],
        gains[use],
        (gains + values)[use].astype(np.float32),
    )
    gains = (gains - gains.mean()) / (gains.std() + 1e-8)
    for _ in range(EPOCHS):
        for rows in np.array_split(rng.permutation(len(actions)), MINIBATCHES):
            layers = policy.layers(observations[rows])
            policy.learn(layers, policy_gradient(layers[-1], actions[rows], old[rows], gains[rows]))
            layers = value.layers(observations[rows])
            value.learn(layers, (layers[-1] - targets[rows, None]) / np.float32(len(rows)))


def policy_gradient(logits, actions, old, gains):
    """Gradient of the clipped loss minus the entropy bonus, by the logits."""
    log_probs = log_softmax(logits)
    probs = np.exp(log_probs)
    ratio = np.exp(np.take_along_axis(log_probs, actions[:, None], 1)[:, 0] - old)
    free = np.where(gains > 0, ratio < 1 + CLIP, ratio > 1 - CLIP)
    chosen = np.eye(logits.shape[1])[actions]
    gradient = -(gains * ratio * free)[:, None] * (chosen - probs)
    entropy = -(probs * log_probs).sum(axis=1, keepdims=True)
    gradient += ENTROPY * probs * (log_probs + entropy)
    return (gradient / len(actions)).astype(np.float32)


def train(options):
    """Train until the mean of the last 100 returns is `options.target`; (mean, seconds, steps)."""
    rng = np.random.default_rng(options.seed)
    envs = vector_env(options.engine)([make_cartpole] * options.envs)
    policy = Network(rng, (4, *HIDDEN, 2), last_gain=0.01)
    value = Network(rng, (4, *HIDDEN, 1), last_gain=1.0)
    start, said, played, mean = time.perf_counter(), 0.0, 0, 0.0
    with_envs = Player(envs, rng, options.seed)
    while mean < options.target and played < options.max_steps:
        rollout = with_envs.play(policy, options.steps)
        improve(policy, value, rollout, rng)
        played += rollout.actions.size
        full = len(with_envs.finished) == with_envs.finished.maxlen
        mean = float(np.mean(with_envs.finished)) if full else 0.0
        seconds = time.perf_counter() - start
        if seconds - said >= 1 or mean >= options.target:
            said = seconds
            print(f"{seconds:6.1f} s  {played:9,} steps  mean return {mean:5.1f}", flush=True)
    envs.close()
    return mean, seconds, played


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=("gymnasium", "envhub"), default="envhub")
    parser.add_argument("--envs", type=int, default=64)
    parser.add_argument("--steps", type=int, default=32, help="of each env between two updates")
    parser.add_argument("--target", type=float, default=450.0, help="mean return to stop at")
    parser.add_argument("--max-steps", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    mean, seconds, played = train(options)
    print(f"{options.engine}: mean return {mean:.1f} after {seconds:.1f} s, {played:,} steps")


if __name__ == "__main__":
    main()
