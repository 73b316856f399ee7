# Read reports with Mail::DeliveryStatus::BounceParser: report_parse.pl MAIL...
# A line a mail: whether it is one, then for each recipient address, action, status and reason.
use strict;
use warnings;
use Mail::DeliveryStatus::BounceParser;

for my $file (@ARGV) {
    open my $mail, '<', $file or die "$file: $!";
    my $bounce = Mail::DeliveryStatus::BounceParser->new($mail);
    my @said = ($bounce->is_bounce ? 'bounce' : 'none');
    for my $report ($bounce->reports) {
        my @fields = map { my $value = $report->get($_) // '-'; $value =~ s/\s+//g; $value }
            qw(email action status std_reason);
        push @said, join(',', @fields);
    }
    print "@said\n";
}
