use kernelsmith::prelude::*;

use crate::cut::{threads, tile};
use crate::error::{Error, check_len};
use crate::number::SmallFloat;

/// One step, see [`Adam`]: `rate` and `root` have the corrections of the moments' bias in them, `decay` is
/// what parameters are multiplied by, and `coupled` what of them is added to gradients.
#[kernel(
    block = threads(),
    requires = (
        g.len() >= p.shape(0),
        m.shape(0) == p.shape(0),
        v.shape(0) == p.shape(0),
        m.tile(0) == p.tile(0),
        v.tile(0) == p.tile(0),
    ),
)]
pub fn adam_kernel<T: Float, G: Float>(
    rate: f32,
    root: f32,
    decay: f32,
    coupled: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    g: &[G],
    p: &mut Part<T, 1>,
    m: &mut Part<f32, 1>,
    v: &mut Part<f32, 1>,
) {
    for i in 0..p.count(0) {
        let old = p[i].to_f32();
        let gradient = coupled.mul_add(old, g[p.global(0, i)].to_f32());
        let first = beta1.mul_add(m[i] - gradient, gradient);
        let square = gradient * gradient;
        let second = beta2.mul_add(v[i] - square, square);
        m[i] = first;
        v[i] = second;
        let step = first / second.sqrt().mul_add(root, epsilon);
        p[i] = (old * decay - rate * step).cast::<T>();
    }
}

/// Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015), with decoupled weight decay as
/// AdamW (Loshchilov and Hutter, 2019) has it unless [`coupled`](Self::coupled); computed in f32, with the
/// moments in f32:
///
/// ```text
/// m = beta1 m + (1 - beta1) g
/// v = beta2 v + (1 - beta2) g^2
/// p = p (1 - rate decay) - rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
/// ```
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::optimizer::Adam;
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let device = Device::cpu();
/// let mut p = Buffer::from_slice(&device, &[1.0f32, 2.0])?;
/// let g = Buffer::from_slice(&device, &[0.5f32, -3.0])?;
/// let (mut m, mut v) = (Buffer::zeros(&device, 2)?, Buffer::zeros(&device, 2)?);
/// Adam::new(0.1).weight_decay(0.0).step(1, &mut p, &g, &mut m, &mut v)?;
/// // The first step goes by the rate, whatever the gradient's size.
/// let p = p.to_vec()?;
/// assert!((p[0] - 0.9).abs() < 1e-6 && (p[1] - 2.1).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct Adam {
    /// The learning rate.
    pub rate: f64,
    /// How much of the moments stays, of gradients and of their squares.
    pub betas: [f64; 2],
    /// What is added to the root of the second moment.
    pub epsilon: f64,
    /// The weight decay.
    pub weight_decay: f64,
    /// Whether the decay is part of the gradient (L2 regularisation), rather than apart from it.
    pub coupled: bool,
}

impl Adam {
    /// PyTorch's AdamW: betas 0.9 and 0.999, epsilon 1e-8, a decoupled weight decay of 0.01.
    pub fn new(rate: f64) -> Adam {
        Adam { rate, betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.01, coupled: false }
    }

    /// With other betas.
    #[must_use]
    pub fn betas(self, betas: [f64; 2]) -> Adam {
        Adam { betas, ..self }
    }

    /// With another epsilon.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Adam {
        Adam { epsilon, ..self }
    }

    /// With another weight decay.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Adam {
        Adam { weight_decay, ..self }
    }

    /// With the decay as a part of the gradient.
    #[must_use]
    pub fn coupled(self) -> Adam {
        Adam { coupled: true, ..self }
    }

    /// Step `t`, counted from 1: changes parameters `p` and moments `m` and `v`, which are 0 before the first.
    ///
    /// Parameters of bf16 or f16 are rounded to nearest after each step: steps of less than half a unit of the
    /// last place do not change them.
    ///
    /// # Errors
    /// If the buffers differ in length or live on different devices, `t` is 0, a beta is not from 0 to below 1,
    /// or another number is negative or not finite.
    pub fn step<T: SmallFloat, G: SmallFloat>(
        &self,
        t: u64,
        p: &mut Buffer<T>,
        g: &Buffer<G>,
        m: &mut Buffer<f32>,
        v: &mut Buffer<f32>,
    ) -> Result<(), Error> {
        self.check(t)?;
        let len = p.len();
        check_len("g", g.len(), "p.len()", Some(len))?;
        check_len("m", m.len(), "p.len()", Some(len))?;
        check_len("v", v.len(), "p.len()", Some(len))?;
        if len == 0 {
            return Ok(());
        }
        let device = p.device().clone();
        let tile = [tile(device.target(), len)];
        let [c1, c2] = self.betas.map(|beta| 1.0 - beta.powf(t as f64));
        let (decay, coupled) = match self.coupled {
            true => (1.0, self.weight_decay),
            false => (1.0 - self.rate * self.weight_decay, 0.0),
        };
        adam_kernel::<T, G>(
            (self.rate / c1) as f32,
            c2.sqrt().recip() as f32,
            decay as f32,
            coupled as f32,
            self.betas[0] as f32,
            self.betas[1] as f32,
            self.epsilon as f32,
            g,
            p.partition(tile),
            m.partition(tile),
            v.partition(tile),
        )
        .launch(&device)?;
        Ok(())
    }

    fn check(&self, t: u64) -> Result<(), Error> {
        let wrong = |argument, found: String, rule: &str| {
            Err(Error::Shape { argument, found, rule: rule.to_owned() })
        };
        if t == 0 {
            return wrong("t", "the value 0".to_owned(), "steps are counted from 1");
        }
        for beta in self.betas {
            if !(0.0..1.0).contains(&beta) {
                return wrong("betas", format!("the value {beta}"), "they are from 0 to below 1");
            }
        }
        for (argument, value) in
            [("rate", self.rate), ("epsilon", self.epsilon), ("weight_decay", self.weight_decay)]
        {
            if !(value >= 0.0 && value.is_finite()) {
                return wrong(
                    argument,
                    format!("the value {value}"),
                    "it is finite and not negative",
                );
            }
        }
        Ok(())
    }
}
