"""A gated recurrent cell with erf gates, over a sequence `x`; its states are `hs`."""

GATE = "activation gate(z) = (1 + erf(z)) / 2\n"
GRU = """layer Wz = dense(W_std=1.1, b_std=0.3)
layer Uz = dense(W_std=1.3)
layer Wh = dense(W_std=1.4)
layer Uh = dense(b_std=0.2)
hs = scan u in x, h = 0 {
    z = gate(Wz(h) + Uz(u))
    h = z * h + (1 - z) * erf(Wh(h) + Uh(u))
}
"""
