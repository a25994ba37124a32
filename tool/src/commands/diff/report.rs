//! What differs between two releases, as it is printed.

use std::fmt::{self, Display};

use super::super::layout::{ASIDE, styled};
use super::super::local_time::Now;
use super::super::section::{CHANGED, GONE, GOOD, PLAIN, Section, with_namespace};
use super::super::short_image::CommonRegistry;
use super::comparison::{
    BuildChange, BuiltCommit, ComparedRelease, Comparison, HeldImage, ImageChange, ServiceImages,
};
use super::yaml::{Unseen, YamlChange};
use crate::answers::{StoredText, harmless};

/// How many digits of a commit's id are shown.
const COMMIT_DIGITS: usize = 12;
/// How much of a digest is shown: `sha256:` and twelve digits, as container engines do.
const DIGEST_CHARACTERS: usize = "sha256:".len() + 12;

/// A comparison, as it is printed.
pub(super) struct DiffReport<'a> {
    pub(super) comparison: &'a Comparison,
    pub(super) now: &'a Now,
    /// The terminal's width; none where the output goes elsewhere.
    pub(super) width: Option<u16>,
}

impl Display for DiffReport<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let registry = self.registry();
        write!(formatter, "{}", self.releases().laid_out(self.width))?;
        for section in
            [self.services(&registry), self.images(&registry), self.builds(), self.labels(), self.yaml()]
        {
            if !section.is_empty() {
                write!(formatter, "\n{}", section.laid_out(self.width))?;
            }
        }
        if self.comparison.is_empty() {
            writeln!(formatter, "\nNothing else differs.")?;
        }
        formatter.write_str(&registry.remark(self.width))?;
        self.comparison.yaml.iter().try_for_each(|change| write_unified(change, formatter))
    }
}

impl DiffReport<'_> {
    /// The registry of most images that the report names.
    fn registry(&self) -> CommonRegistry {
        let Comparison { services, images, .. } = self.comparison;
        let of_services = services.added.iter().chain(&services.removed).flat_map(|service| &service.images);
        let changed = images.iter().flat_map(|change| [&change.from, &change.to]).flatten();
        CommonRegistry::of(of_services.chain(changed.map(|held| &held.image)).map(StoredText::as_stored))
    }

    fn releases(&self) -> Section {
        let Comparison { project, from, to, with_environment, .. } = self.comparison;
        let mut section = Section::new(format!("{project} {} → {}", from.version, to.version));
        let mut field = |label: &str, value: &dyn Fn(&ComparedRelease) -> String| {
            let (from, to) = (value(from), value(to));
            if from == to {
                section.styled_field(PLAIN, label, to);
            } else {
                let told = |text: String| if text.is_empty() { "none".to_owned() } else { text };
                section.styled_field(CHANGED, label, format!("{} → {}", told(from), told(to)));
            }
        };
        field("time", &|release| self.now.minute_and_age(release.created_at));
        field("by", &|release| release.created_by.to_string());
        field("workflow", &|release| release.workflow.clone());
        field("environment", &|release| with_namespace(&release.env_name, &release.namespace));
        if !with_environment {
            section.field(
                "compared",
                "what they deployed: one of them does not tell the environment's services",
            );
        }
        section
    }

    fn services(&self, registry: &CommonRegistry) -> Section {
        let mut section = Section::new("Services");
        let Comparison { services, .. } = self.comparison;
        let shown = |service: &ServiceImages| {
            let images = service.images.iter().map(|image| shortened(image, registry));
            (service.service.to_string(), images.collect::<Vec<_>>().join(", "))
        };
        for (service, images) in services.removed.iter().map(shown) {
            section.gone(service, images);
        }
        for (service, images) in services.added.iter().map(shown) {
            section.came(service, images);
        }
        section
    }

    fn images(&self, registry: &CommonRegistry) -> Section {
        let mut section = Section::new("Images");
        for ImageChange { service, container, from, to } in &self.comparison.images {
            let mut name =
                if service == container { service.to_string() } else { format!("{service}/{container}") };
            if let Some(from) = from {
                section.gone(std::mem::take(&mut name), image(from, registry));
            }
            if let Some(to) = to {
                section.came(name, image(to, registry));
            }
        }
        section
    }

    fn builds(&self) -> Section {
        let mut section = Section::new("Commits");
        let Comparison { from: before, to: after, builds, .. } = self.comparison;
        for BuildChange { service, from, to } in builds {
            let mut label = service.to_string();
            for line in built(from, before) {
                section.gone(std::mem::take(&mut label), line);
            }
            for line in built(to, after) {
                section.came(std::mem::take(&mut label), line);
            }
        }
        section
    }

    fn labels(&self) -> Section {
        let mut section = Section::new("Labels");
        let Comparison { labels, .. } = self.comparison;
        for label in &labels.removed {
            section.gone("", label.to_string());
        }
        for label in &labels.added {
            section.came("", label.to_string());
        }
        section
    }

    fn yaml(&self) -> Section {
        let mut section = Section::new("YAML");
        for change in &self.comparison.yaml {
            let YamlChange { service, added_lines, removed_lines, only_differs, unified } = change;
            let only = match only_differs {
                Some(Unseen::LineEnds) => ", of which only the line ends differ",
                Some(Unseen::WhiteSpace) => ", of which only white space differs",
                None => "",
            };
            let hint = if unified.is_none() { "; --yaml shows them" } else { "" };
            let lines = format!("+{added_lines} -{removed_lines} lines{only}{hint}");
            section.styled_field(CHANGED, service.to_string(), lines);
        }
        section
    }
}

fn shortened(image: &StoredText, registry: &CommonRegistry) -> String {
    StoredText::from(registry.shorten(image.as_stored())).to_string()
}

fn image(held: &HeldImage, registry: &CommonRegistry) -> String {
    let digest: String = held.digest.to_string().chars().take(DIGEST_CHARACTERS).collect();
    let image = shortened(&held.image, registry);
    // If the image is written with its digest, the digest is shown already.
    if digest.is_empty() || image.contains('@') { image } else { format!("{image}  {digest}") }
}

/// What a service was built from for a release.
fn built(commits: &[BuiltCommit], release: &ComparedRelease) -> Vec<String> {
    match commits {
        [] => vec![format!("not built in {}", release.version)],
        commits => commits.iter().map(commit).collect(),
    }
}

fn commit(commit: &BuiltCommit) -> String {
    let BuiltCommit { repository, branch, commit_id, pull_requests, message, .. } = commit;
    let id: String = commit_id.to_string().chars().take(COMMIT_DIGITS).collect();
    let mut parts = vec![id, message.to_string()];
    parts.extend(pull_requests.iter().map(|number| format!("#{number}")));
    let place = [branch.to_string(), repository.clone()].into_iter().filter(|part| !part.is_empty());
    let place = place.collect::<Vec<_>>().join(" of ");
    if !place.is_empty() {
        parts.push(format!("({place})"));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("  ")
}

fn write_unified(change: &YamlChange, formatter: &mut fmt::Formatter) -> fmt::Result {
    let Some(unified) = &change.unified else { return Ok(()) };
    writeln!(formatter)?;
    // A carriage return before a line end is shown, too: it may be all that differs.
    for line in unified.split_terminator('\n') {
        let style = match line.chars().next() {
            Some('+') => GOOD,
            Some('-') => GONE,
            Some('@') => ASIDE,
            _ => PLAIN,
        };
        writeln!(formatter, "{}", styled(style, harmless(line)))?;
    }
    Ok(())
}
