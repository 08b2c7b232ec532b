"""scipy.special: accuracy where formulas cancel, values at the edges, parameters, and SciPy's own
functions in Python.
"""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.test_rules import assert_same_bits, gradients_at
from tinygraph.op import describe

scipy_special = pytest.importorskip("scipy.special")
scipy_linalg = pytest.importorskip("scipy.linalg")

DERIVATIVES = [
    ("expit", -700.0, 9.859676543759771e-305, 9.859676543759771e-305),
    ("expit", 40.0, 4.248354255291589e-18, -4.248354255291589e-18),
    ("logit", 1e-10, 1.0000000001e10, -9.999999999999999e19),
    ("logit", 0.9999999999, 9.999999173596358e9, 9.999998345192785e19),
    ("log_expit", -700.0, 1.0, -9.859676543759771e-305),
    ("log_expit", 700.0, 9.859676543759771e-305, -9.859676543759771e-305),
    ("erfcx", -20.0, -4.177175751811315e175, 1.672958888600432e177),
    ("erfcx", 0.5, -0.5126888229025867, 0.7186918654832651),
    ("erfcx", 1.75, -0.1309763455144852, 0.1115272601741745),
    ("erfcx", 2.25, -0.08848650280874916, 0.06398525482141252),
    ("erfcx", 30.0, -6.258354105074841e-4, 4.165309238445888e-5),
    ("erfcx", 1e6, -5.6418958354691e-13, 1.128379167092127e-18),
    ("log_ndtr", -100.0, 100.0099980009993, -0.9999000599500517),
    ("log_ndtr", -5.0, 5.186503967125842, -0.9673035653828878),
    ("log_ndtr", -1e-8, 0.7978845671690631, -0.6366197745477175),
    ("log_ndtr", 0.0, 0.7978845608028654, -0.6366197723675813),
    ("log_ndtr", 5.0, 1.486719940904906e-6, -7.433601914860711e-6),
    ("log_ndtr", 40.0, 0.0, 0.0),
    ("ndtri", 1e-10, 1.535723698196386e9, -1.500288713062846e19),
    ("i0e", -3.0, 0.04617364086452454, 0.02673837729661547),
    ("i0e", 1e4, -1.994786210698419e-7, 2.992254131753587e-11),
    ("i1e", -3.0, -0.01943526356790907, -1.609678703498758e-3),
    ("i1e", 1e4, -1.994486985285243e-7, 2.991506049515319e-11),
    ("spence", 1e-10, -23.02585093224304, 9.999999977974149e9),
    ("spence", 0.75, -1.150728289807124, 0.7304201741048385),
    ("spence", 0.999999, -1.000000500000333, 0.5000006666674167),
    ("spence", 1.0, -1.0, 0.5),
    ("spence", 1e6, -1.381552437348865e-5, 1.281553718902584e-11),
    ("psi", 1e-3, 1.000001642533196e6, -2.000000002397632e9),
    ("psi", -1.5, 9.379246644989124, -0.2362040516417274),
    ("dawsn", 0.5, 0.5755636164979777, -1.424436383502022),
    ("dawsn", 30.0, -5.564840635505479e-4, 3.716101091452277e-5),
    ("exprel", 1e-9, 0.5000000003333333, 0.3333333335833333),
    ("ellipk", 0.999, 499.1639931300771, 4.998758241080621e5),
    ("ellipe", -3.0, -0.2239757052311829, -0.02419790059504182),
    ("psi", 1e6, 1.000000500000167e-6, -1.0000010000005e-12),
]
"""Functions, points, and two derivatives there, to 16 digits."""


@pytest.mark.parametrize(
    ("name", "x", "first", "second"), DERIVATIVES, ids=[f"{n}-{x}" for n, x, _, _ in DERIVATIVES]
)
def test_derivatives_keep_their_digits(name: str, x: float, first: float, second: float) -> None:
    slope = tg.grad(getattr(scipy_special, name))
    with np.errstate(over="ignore"):
        actual = float(slope(x)), float(tg.grad(slope)(x))
    np.testing.assert_allclose(actual, (first, second), rtol=2e-14)


@pytest.mark.parametrize("x", [-1e4, -40.0, 0.0, 40.0, 1e4])
def test_no_derivative_of_log_ndtr_is_nan(x: float) -> None:
    f = scipy_special.log_ndtr
    for _ in range(3):
        f = tg.grad(f)
        assert np.isfinite(f(x))


@pytest.mark.parametrize("lmbda", [0.0, 1e-12, -1e-5])
def test_boxcox_is_smooth_where_it_becomes_a_logarithm(lmbda: float) -> None:
    x, y = np.array([0.5, 2.0]), np.array([-0.5, 2.0])
    _, for_lmbda = gradients_at(scipy_special.boxcox, x, lmbda)
    np.testing.assert_allclose(for_lmbda, np.sum(np.log(x) ** 2) / 2, rtol=1e-4)
    for_y, for_lmbda = gradients_at(scipy_special.inv_boxcox, y, lmbda)
    np.testing.assert_allclose(for_y, np.exp(y), rtol=1e-4)
    np.testing.assert_allclose(for_lmbda, -np.sum(np.exp(y) * y**2) / 2, rtol=1e-4)


def test_kl_div_near_its_minimum_keeps_its_digits() -> None:
    assert gradients_at(scipy_special.kl_div, 1.0, 1 + 2.0**-50)[1] == 2.0**-50 / (1 + 2.0**-50)


EDGES = [
    ("xlogy", (0.0, 0.0), (0.0, 0.0)),
    ("xlogy", (0.0, 2.0), (np.log(2), 0.0)),
    ("xlog1py", (0.0, -1.0), (0.0, 0.0)),
    ("entr", (0.0,), (0.0,)),
    ("entr", (-1.0,), (0.0,)),
    ("rel_entr", (0.0, 0.0), (0.0, 0.0)),
    ("rel_entr", (0.0, 2.0), (0.0, 0.0)),
    ("rel_entr", (2.0, 0.0), (0.0, 0.0)),
    ("kl_div", (0.0, 2.0), (0.0, 1.0)),
    ("kl_div", (0.0, 0.0), (0.0, 1.0)),
    ("kl_div", (2.0, 0.0), (0.0, 0.0)),
    ("huber", (1.0, 0.5), (0.0, 0.5)),
    ("huber", (1.0, 1.0), (0.0, 1.0)),
    ("huber", (1.0, -3.0), (2.0, -1.0)),
    ("pseudo_huber", (0.0, 0.0), (0.0, 0.0)),
    ("pseudo_huber", (1.0, 0.0), (0.0, 0.0)),
    ("i0e", (0.0,), (0.0,)),
    ("gammaincc", (1, 0.0), (0.0, -1.0)),
    ("betainc", (1, 1, 0.0), (0.0, 0.0, 1.0)),
]
"""Functions, points at the edges of their domains, and the gradients there."""


@pytest.mark.parametrize(("name", "at", "expected"), EDGES, ids=[f"{n}-{at}" for n, at, _ in EDGES])
def test_gradients_at_the_edges_are_no_nan(
    name: str, at: tuple[Any, ...], expected: tuple[float, ...]
) -> None:
    nodes = [tg.Node(x) if isinstance(x, float) else x for x in at]
    getattr(scipy_special, name)(*nodes).backward()
    actual = [float(x.grad) if isinstance(x, tg.Node) else 0.0 for x in nodes]
    np.testing.assert_allclose(actual, expected, rtol=1e-15)


def test_si_alone_has_a_derivative_at_zero() -> None:
    assert gradients_at(lambda x: scipy_special.sici(x)[0], [0.0]) == [[1.0]]
    assert gradients_at(lambda x: scipy_special.shichi(x)[0], [0.0]) == [[1.0]]


@pytest.mark.parametrize("f", [scipy_special.sici, scipy_special.shichi, scipy_special.fresnel])
def test_each_of_two_results_has_its_own_gradient(f: Callable[..., Any]) -> None:
    x = np.array([0.5, 2.0])
    first, second = (gradients_at(lambda x, i=i: f(x)[i], x)[0] for i in (0, 1))
    both = gradients_at(lambda x: f(x)[0] + 3 * f(x)[1], x)[0]
    np.testing.assert_allclose(both, np.add(first, 3 * np.array(second)))


REFUSED = [
    ("jv", (0.5, 1.0), 0, "'v'"),
    ("yv", (0.5, 1.0), 0, "'v'"),
    ("iv", (0.5, 1.0), 0, "'v'"),
    ("kv", (0.5, 1.0), 0, "'v'"),
    ("ive", (0.5, 1.0), 0, "'v'"),
    ("kve", (0.5, 1.0), 0, "'v'"),
    ("zeta", (2.0, 1.0), 0, "'x'"),
    ("gammainc", (2.0, 1.0), 0, "'a'"),
    ("gammaincc", (2.0, 1.0), 0, "'a'"),
    ("betainc", (2.0, 3.0, 0.5), 0, "'a'"),
    ("betaincc", (2.0, 3.0, 0.5), 1, "'b'"),
    ("hyp0f1", (1.5, 1.0), 0, "'v'"),
    ("hyp1f1", (1.5, 2.0, 1.0), 1, "'b'"),
    ("hyp2f1", (1.5, 2.0, 1.0, 0.5), 2, "'c'"),
]
"""Functions, arguments, and one of them by which there is no rule."""


@pytest.mark.parametrize(
    ("name", "at", "position", "argument"), REFUSED, ids=[name for name, *_ in REFUSED]
)
def test_a_gradient_without_a_closed_form_is_refused_and_no_other(
    name: str, at: tuple[float, ...], position: int, argument: str
) -> None:
    nodes = [tg.Node(x, requires_grad=i == position) for i, x in enumerate(at)]
    out = getattr(scipy_special, name)(*nodes)
    with pytest.raises(TypeError, match=rf"scipy\.special\.{name} .* argument {argument}.*detach"):
        out.backward()
    x = tg.Node(at[-1])
    getattr(scipy_special, name)(*(node.detach() for node in nodes[:-1]), x).backward()
    assert x.grad == tg.grad(lambda x: getattr(scipy_special, name)(*at[:-1], x))(at[-1])


@pytest.mark.parametrize("name", ["jv", "yv", "iv", "kv", "zeta", "hyp1f1"])
def test_whole_orders_leave_float32_as_it_is(name: str) -> None:
    orders = (2, 3) if name == "hyp1f1" else (2,)
    x = tg.Node(np.float32(1.5))
    out = getattr(scipy_special, name)(*orders, x)
    out.backward()
    assert out.dtype == x.grad.dtype == np.float32


@pytest.mark.parametrize("f", [scipy_special.psi, scipy_special.gamma, scipy_special.loggamma])
def test_functions_whose_derivatives_scipy_lacks_of_complex_numbers_say_so(
    f: Callable[..., Any],
) -> None:
    with pytest.raises(TypeError, match="complex Nodes is not supported"):
        f(tg.Node(1.5 + 1j))


def test_aliases_and_functions_in_python_that_call_ufuncs_take_nodes() -> None:
    x = tg.Node([0.5, 2.0])
    assert scipy_special.digamma(x).op is scipy_special.psi(x).op
    assert scipy_special.jn(1, x).op is scipy_special.jv(1, x).op
    assert_same_bits(scipy_special.zeta(3, x).value, scipy_special.zeta(3, x.value))
    assert_same_bits(scipy_special.sinc(x).value, np.sinc(x.value))


PYTHON_FUNCTIONS = ["softmax", "log_softmax", "logsumexp"]
ARRAY = np.random.default_rng(3).normal(size=(2, 3))


@pytest.mark.parametrize("name", PYTHON_FUNCTIONS)
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_functions_that_scipy_writes_in_python_have_their_values(
    name: str, axis: Any, dtype: Any
) -> None:
    x = ARRAY.astype(dtype)
    expected = getattr(scipy_special, name)(x, axis=axis)
    assert_same_bits(getattr(tg.special, name)(tg.Node(x), axis=axis).value, expected)
    assert_same_bits(np.asarray(getattr(tg.special, name)(x, axis=axis)), expected)


@pytest.mark.parametrize("name", [*PYTHON_FUNCTIONS, "polygamma", "expm"])
def test_scipys_own_functions_in_python_name_ours(name: str) -> None:
    own = getattr(scipy_special, name, None) or scipy_linalg.expm
    arguments = (1, tg.Node(ARRAY)) if name == "polygamma" else (tg.Node(np.eye(2)),)
    with pytest.raises(TypeError, match=rf"tg\.special.*{name}"):
        own(*arguments)
    assert getattr(tg.special, name)(*arguments).requires_grad


def test_logsumexp_takes_weights_of_any_sign_and_keeps_axes() -> None:
    weights = np.array([2.0, -0.5, 1.0])
    for arguments in ({"axis": 1}, {"axis": (0, 1), "keepdims": True}, {}):
        expected = scipy_special.logsumexp(ARRAY, b=weights, **arguments)
        nodes = tg.Node(ARRAY), tg.Node(weights)
        assert_same_bits(tg.special.logsumexp(nodes[0], b=nodes[1], **arguments).value, expected)

        def f(a: Any, b: Any, arguments: Any = arguments) -> Any:
            return tg.special.logsumexp(a, b=b, **arguments)

        tg.gradcheck(f, ARRAY, weights, order=2)


def test_logsumexp_makes_nothing_of_what_has_weight_zero() -> None:
    a, b = gradients_at(
        lambda a, b: tg.special.logsumexp(a, b=b), [np.inf, np.nan, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]
    )
    assert a == [0, 0, 1, 0]
    assert b == [0, 0, 1, 1]


def test_logsumexp_of_impossible_terms_alone_gives_no_nan() -> None:
    (gradient,) = gradients_at(lambda a: tg.special.logsumexp(a, axis=1), [[-np.inf, -np.inf]])
    assert gradient == [[0, 0]]


@pytest.mark.parametrize("order", [0, 1, 2, 5])
def test_polygamma_is_the_derivative_of_the_one_before(order: int) -> None:
    x = np.array([0.5, 1.0, 3.0])
    (slope,) = gradients_at(lambda x: tg.special.polygamma(order, x), x)
    np.testing.assert_allclose(slope, scipy_special.polygamma(order + 1, x), rtol=1e-14)


def test_the_order_of_polygamma_is_no_variable() -> None:
    n = tg.Node(1.0)
    with pytest.raises(TypeError, match="polygamma has no derivative rule by its argument 'n'"):
        tg.special.polygamma(n, 2.0).backward()


@pytest.mark.parametrize("scale", [1.0, 1e8, 1e-8])
def test_the_gradient_of_expm_is_its_frechet_derivative(scale: float) -> None:
    generator = np.random.default_rng(11)
    a, g = generator.normal(size=(2, 4, 4))
    (gradient,) = tg.vjp(tg.special.expm, a)[1](g * scale)
    expected = scipy_linalg.expm_frechet(a.T, g, compute_expm=False)
    np.testing.assert_allclose(gradient / scale, expected, rtol=1e-12)


def test_expm_solves_a_linear_differential_equation_with_its_gradients() -> None:
    """By the entries of a triangular matrix the solution is known."""

    def at_one(a: Any) -> Any:
        return tg.special.expm(a)[0, 1]

    a = np.array([[-0.5, 2.0], [0.0, 1.5]])
    slope = (np.exp(1.5) - np.exp(-0.5)) / 2
    np.testing.assert_allclose(tg.grad(at_one)(a)[0, 1], slope)
    np.testing.assert_allclose(tg.grad(at_one)(a)[0, 0], 2 * (slope - np.exp(-0.5)) / 2, rtol=1e-12)


def test_names_of_ufuncs_say_where_they_are_from() -> None:
    assert describe(np.exp) == "np.exp"
    assert describe(scipy_special.expit) == "scipy.special.expit"
    assert describe(scipy_special.expm1) == "scipy.special.expm1"
    with pytest.raises(TypeError, match=r"scipy\.special\.airy of a Node"):
        scipy_special.airy(tg.Node(1.0))


def run(program: str, **environment: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True, env={**ENVIRONMENT, **environment})


ENVIRONMENT = {"PYTHONPATH": ":".join(path for path in sys.path if path), "PATH": ""}


def test_scipy_is_imported_by_nobody_but_its_user() -> None:
    run("import sys, tinygraph; assert 'scipy' not in sys.modules; tinygraph.special.expit")


def test_rules_hold_also_where_scipy_wraps_its_ufuncs() -> None:
    program = (
        "import tinygraph as tg; f = tg.special.log_ndtr; "
        "assert abs(tg.grad(tg.grad(f))(0.0) + 0.6366197723675813) < 1e-15"
    )
    run(program, SCIPY_ARRAY_API="1")
