"""Names of the models, without importing torch: for the command line's help."""

MODELS = {
    "relu": "RNN with a rectified-linear f-I curve",
    "linear": "RNN without a nonlinearity",
    "tanh": "RNN with a hyperbolic tangent",
    "gamma-shared": "RNN+gamma: one learned gain n and saturation s, shared by all neurons",
    "gamma": "RNN+gamma: a learned gain n and saturation s for every neuron",
    "arun": "network of adaptive recurrent units: each neuron adapts its n and s in real time",
    "lstm": "long short-term memory, the drive entering every gate",
    "gru": "gated recurrent unit, the drive entering every gate",
}
"""The models by name, each with what it is."""
