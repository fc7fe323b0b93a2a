use kernelsmith::prelude::*;

use super::kernel::{cross_entropy_gradient_kernel, cross_entropy_kernel};
use crate::cut::{rows, streams};
use crate::error::{Error, check_len};
use crate::number::SmallFloat;

/// The cross-entropy of each row of logits with a target class, computed in f32: `ln(sum(e^x)) - x[target]`.
///
/// Losses are off by at most `1e-6` and `4 eps` times the greatest logit's magnitude, `eps` being `2^-24`; a NaN
/// or `+inf` among a row's logits makes it NaN.
///
/// ```
/// use kernelsmith::prelude::*;
/// use kernelsmith_kernels::loss::CrossEntropy;
/// # fn main() -> Result<(), kernelsmith_kernels::Error> {
/// let device = Device::cpu();
/// let logits = Buffer::from_slice(&device, &[0.0f32, 0.0, 5.0, 5.0])?;
/// let targets = Buffer::from_slice(&device, &[1u32, u32::MAX])?;
/// let mut losses = Buffer::<f32>::zeros(&device, 2)?;
/// let mut normalizers = Buffer::<f32>::zeros(&device, 2)?;
/// let loss = CrossEntropy::new(2).ignore(u32::MAX);
/// loss.losses(&logits, &targets, &mut losses, &mut normalizers)?;
/// let losses = losses.to_vec()?;
/// assert!((losses[0] - 2f32.ln()).abs() < 1e-6 && losses[1] == 0.0);
/// let mut gradient = Buffer::<f32>::zeros(&device, 4)?;
/// loss.gradient(1.0, &logits, &targets, &normalizers, &mut gradient)?;
/// let gradient = gradient.to_vec()?;
/// assert!((gradient[0] - 0.5).abs() < 1e-6 && (gradient[1] + 0.5).abs() < 1e-6);
/// assert_eq!(gradient[2..], [0.0, 0.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CrossEntropy {
    classes: usize,
    ignore: Option<u32>,
    smoothing: f32,
}

impl CrossEntropy {
    /// Of rows of `classes` logits.
    pub fn new(classes: usize) -> CrossEntropy {
        CrossEntropy { classes, ignore: None, smoothing: 0.0 }
    }

    /// Rows with this target have neither loss nor gradient.
    #[must_use]
    pub fn ignore(self, target: u32) -> CrossEntropy {
        CrossEntropy { ignore: Some(target), ..self }
    }

    /// Label smoothing (Szegedy et al., "Rethinking the Inception architecture", 2016): of what is expected,
    /// `smoothing` is shared out among all classes.
    #[must_use]
    pub fn smoothing(self, smoothing: f32) -> CrossEntropy {
        CrossEntropy { smoothing, ..self }
    }

    /// The loss of each row, and `ln(sum(e^x))` of each, which the gradient takes. One sweep over the
    /// logits.
    ///
    /// # Errors
    /// If there are no classes, `logits` has not `targets.len() * classes` elements, `losses` or
    /// `normalizers` has not one for each target, the smoothing is not from 0 to 1, or the buffers live on
    /// different devices. A target that is no class is an error of the launch, which comes back when the
    /// device is next waited for.
    pub fn losses<T: SmallFloat>(
        &self,
        logits: &Buffer<T>,
        targets: &Buffer<u32>,
        losses: &mut Buffer<f32>,
        normalizers: &mut Buffer<f32>,
    ) -> Result<(), Error> {
        let count = self.check("logits", logits, targets)?;
        check_len("losses", losses.len(), "targets.len()", Some(count))?;
        check_len("normalizers", normalizers.len(), "targets.len()", Some(count))?;
        if count == 0 {
            return Ok(());
        }
        let device = logits.device();
        let tile = [rows(device.target(), self.classes), 1];
        let losses = View::of_mut(losses, [count, 1]).partition(tile);
        let normalizers = View::of_mut(normalizers, [count, 1]).partition(tile);
        cross_entropy_kernel::<T>(
            self.smoothing != 0.0,
            self.classes,
            self.ignored(),
            self.smoothing,
            logits,
            targets,
            losses,
            normalizers,
        )
        .launch(device)?;
        Ok(())
    }

    /// `scale` times the gradient of the sum of the losses: for a mean, `scale` is one over the number of
    /// targets that count. One sweep.
    ///
    /// # Errors
    /// As [`losses`](Self::losses), and if `gradient` has not as many elements as `logits`.
    pub fn gradient<T: SmallFloat>(
        &self,
        scale: f32,
        logits: &Buffer<T>,
        targets: &Buffer<u32>,
        normalizers: &Buffer<f32>,
        gradient: &mut Buffer<T>,
    ) -> Result<(), Error> {
        check_len("gradient", gradient.len(), "logits.len()", Some(logits.len()))?;
        self.launch_gradient(scale, Some(logits), targets, normalizers, gradient)
    }

    /// As [`gradient`](Self::gradient), written over the logits.
    ///
    /// # Errors
    /// As [`losses`](Self::losses).
    pub fn gradient_in_place<T: SmallFloat>(
        &self,
        scale: f32,
        targets: &Buffer<u32>,
        normalizers: &Buffer<f32>,
        logits: &mut Buffer<T>,
    ) -> Result<(), Error> {
        self.launch_gradient(scale, None, targets, normalizers, logits)
    }

    fn launch_gradient<T: SmallFloat>(
        &self,
        scale: f32,
        logits: Option<&Buffer<T>>,
        targets: &Buffer<u32>,
        normalizers: &Buffer<f32>,
        gradient: &mut Buffer<T>,
    ) -> Result<(), Error> {
        let count = self.check("logits", gradient, targets)?;
        check_len("normalizers", normalizers.len(), "targets.len()", Some(count))?;
        if count == 0 {
            return Ok(());
        }
        let (device, len) = (gradient.device().clone(), gradient.len());
        let target = device.target();
        let streaming = logits.is_some() && streams::<T>(target, len);
        let gradient = View::of_mut(gradient, [count, self.classes])
            .partition([rows(target, self.classes), self.classes]);
        cross_entropy_gradient_kernel::<T>(
            streaming,
            self.ignored(),
            self.smoothing,
            scale,
            logits,
            targets,
            normalizers,
            gradient,
        )
        .launch(&device)?;
        Ok(())
    }

    /// A target that stands for none: where nothing is ignored, one that is no class either.
    fn ignored(&self) -> u32 {
        self.ignore.unwrap_or(u32::MAX)
    }

    fn check<T: SmallFloat>(
        &self,
        argument: &'static str,
        logits: &Buffer<T>,
        targets: &Buffer<u32>,
    ) -> Result<usize, Error> {
        let wrong = |argument, found: String, rule: &str| {
            Err(Error::Shape { argument, found, rule: rule.to_owned() })
        };
        if self.classes == 0 || self.classes >= u32::MAX as usize {
            let rule = "there are 1 to 2^32 - 2 classes";
            return wrong("classes", format!("the value {}", self.classes), rule);
        }
        if !(0.0..=1.0).contains(&self.smoothing) {
            let rule = "it is a share, from 0 to 1";
            return wrong("smoothing", format!("the value {}", self.smoothing), rule);
        }
        let count = targets.len();
        let all = count.checked_mul(self.classes);
        check_len(argument, logits.len(), "targets.len() * classes", all)?;
        Ok(count)
    }
}
